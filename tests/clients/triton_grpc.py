"""tritonclient over gRPC: every call, waiting, on a stream, and on an event loop."""

import asyncio
import queue

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from called import GRPC, MODEL, cells, headers, say
from tritonclient.utils import InferenceServerException


def inputs(module, described):
    made = []
    for name, datatype, column in cells([(one.name, one.datatype) for one in described]):
        tensor = module.InferInput(name, [len(column), 1], datatype)
        dtype = np.float32 if datatype == "FP32" else object
        tensor.set_data_from_numpy(np.array(column, dtype=dtype).reshape(-1, 1))
        made.append(tensor)
    return made


def refusal(call):
    try:
        call()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return None


def streamed(client, described):
    """A call that fails, then one that does not, on the same stream."""
    results = queue.Queue()
    client.start_stream(lambda result, error: results.put((result, error)), headers=headers())
    client.async_stream_infer("nothing", inputs(triton, described))
    client.async_stream_infer(MODEL, inputs(triton, described))
    (_, failed), (found, _) = results.get(timeout=20), results.get(timeout=20)
    client.stop_stream()
    return failed.message(), found.as_numpy("probabilities").tolist()


async def on_a_loop(described):
    client = triton_aio.InferenceServerClient(GRPC)
    result = await client.infer(MODEL, inputs(triton_aio, described), headers=headers())
    live = await client.is_server_live()
    await client.close()
    return live, result.as_numpy("probabilities").tolist()


client = triton.InferenceServerClient(GRPC)
metadata = client.get_model_metadata(MODEL, headers=headers())
described = metadata.inputs
plain = client.infer(MODEL, inputs(triton, described), headers=headers(), request_id="seven")
index = client.get_model_repository_index(headers=headers())
client.unload_model(MODEL, headers=headers())
unloaded = client.get_model_repository_index(headers=headers())
client.load_model(MODEL, headers=headers())
stream_failure, stream = streamed(client, described)
aio_live, aio = asyncio.run(on_a_loop(described))
say(
    live=client.is_server_live(),
    ready=client.is_server_ready(),
    model_ready=client.is_model_ready(MODEL, headers=headers()),
    version_ready=client.is_model_ready(MODEL, "1", headers=headers()),
    server=client.get_server_metadata(headers=headers(), as_json=True),
    metadata=client.get_model_metadata(MODEL, headers=headers(), as_json=True),
    config=client.get_model_config(MODEL, headers=headers(), as_json=True),
    index=[{"name": one.name, "version": one.version, "state": one.state} for one in index.models],
    unloaded=[one.state for one in unloaded.models if one.name == MODEL],
    statistics=client.get_inference_statistics(MODEL, headers=headers(), as_json=True),
    all_statistics=client.get_inference_statistics(headers=headers(), as_json=True),
    id=plain.get_response().id,
    receipt=plain.get_response().parameters["receipt"].string_param,
    labels=[text.decode() for text in plain.as_numpy("label").ravel()],
    answers={
        "plain": plain.as_numpy("probabilities").tolist(),
        "stream": stream,
        "aio": aio,
        "version": client.infer(MODEL, inputs(triton, described), "1", headers=headers())
        .as_numpy("probabilities")
        .tolist(),
    },
    aio_live=aio_live,
    stream_failure=stream_failure,
    without_key=refusal(lambda: client.infer(MODEL, inputs(triton, described))),
    unknown_model=refusal(lambda: client.infer("nothing", inputs(triton, described), headers=headers())),
    few_inputs=refusal(lambda: client.infer(MODEL, inputs(triton, described)[:1], headers=headers())),
)
