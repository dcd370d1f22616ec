"""KServe's inference clients, over REST and over gRPC."""

import asyncio

import httpx
from called import GRPC, MODEL, URL, cells, headers, say
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig


def request(inputs, *, missing=None):
    made = []
    for name, datatype, column in cells(inputs):
        # REST sends null for what is not known, gRPC NaN.
        values = [missing if value != value else value for value in column]
        if datatype == "BYTES":
            values = [value.encode() for value in values] if missing is not None else values
        made.append(InferInput(name, [len(values), 1], datatype, data=values))
    return InferRequest(model_name=MODEL, infer_inputs=made, request_id="seven")


def rows(reply):
    output = next(one for one in reply.outputs if one.name == "probabilities")
    return output.as_numpy().reshape(output.shape).tolist()


async def main(inputs):
    rest = InferenceRESTClient(RESTConfig(protocol="v2"))
    by_rest = await rest.infer(URL, request(inputs), model_name=MODEL, headers=headers())
    grpc = InferenceGRPCClient(GRPC)
    metadata = tuple(headers().items())
    by_grpc = await grpc.infer(request(inputs, missing=float("nan")), headers=metadata)
    say(
        live=await rest.is_server_live(URL),
        ready=await rest.is_server_ready(URL),
        model_ready=await rest.is_model_ready(URL, MODEL, headers=headers()),
        grpc_live=await grpc.is_server_live(),
        grpc_ready=await grpc.is_server_ready(),
        grpc_model_ready=await grpc.is_model_ready(MODEL, headers=metadata),
        ids=[by_rest.id, by_grpc.id],
        answers={"rest": rows(by_rest), "grpc": rows(by_grpc)},
    )
    await rest.close()
    await grpc.close()


described = httpx.get(f"{URL}/v2/models/{MODEL}", headers=headers()).json()["inputs"]
asyncio.run(main([(one["name"], one["datatype"]) for one in described]))
