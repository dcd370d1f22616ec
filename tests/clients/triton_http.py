"""tritonclient over HTTP: every call, in binary and in JSON, waiting and on an event loop."""

import asyncio

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from called import HOST, MODEL, cells, headers, say
from tritonclient.utils import InferenceServerException


def inputs(module, described, *, binary=True):
    made = []
    for name, datatype, column in cells([(one["name"], one["datatype"]) for one in described]):
        tensor = module.InferInput(name, [len(column), 1], datatype)
        dtype = np.float32 if datatype == "FP32" else object
        tensor.set_data_from_numpy(np.array(column, dtype=dtype).reshape(-1, 1), binary_data=binary)
        made.append(tensor)
    return made


def refusal(call):
    try:
        call()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return None


async def on_a_loop(described):
    client = triton_aio.InferenceServerClient(HOST)
    result = await client.infer(MODEL, inputs(triton_aio, described), headers=headers())
    live = await client.is_server_live()
    await client.close()
    return live, result.as_numpy("probabilities").tolist()


client = triton.InferenceServerClient(HOST, concurrency=4)
metadata = client.get_model_metadata(MODEL, headers=headers())
described = metadata["inputs"]
binary = client.infer(MODEL, inputs(triton, described), headers=headers(), request_id="seven")
plain_outputs = [triton.InferRequestedOutput("probabilities", binary_data=False)]
# In JSON a number that is not known is null, which this client cannot write: the rows of it are whole.
plain = client.infer(MODEL, inputs(triton, described), headers=headers(), outputs=plain_outputs)
packed = client.infer(MODEL, inputs(triton, described), headers=headers(), request_compression_algorithm="gzip")
ranked_outputs = [triton.InferRequestedOutput("probabilities", class_count=1)]
ranked = client.infer(MODEL, inputs(triton, described), headers=headers(), outputs=ranked_outputs)
pending = client.async_infer(MODEL, inputs(triton, described), headers=headers())
index = client.get_model_repository_index(headers=headers())
client.unload_model(MODEL, headers=headers())
unloaded = client.get_model_repository_index(headers=headers())
client.load_model(MODEL, headers=headers())
aio_live, aio = asyncio.run(on_a_loop(described))
say(
    live=client.is_server_live(),
    ready=client.is_server_ready(),
    model_ready=client.is_model_ready(MODEL, headers=headers()),
    version_ready=client.is_model_ready(MODEL, "1", headers=headers()),
    server=client.get_server_metadata(headers=headers()),
    metadata=metadata,
    config=client.get_model_config(MODEL, headers=headers()),
    index=index,
    unloaded=[one["state"] for one in unloaded if one["name"] == MODEL],
    statistics=client.get_inference_statistics(MODEL, headers=headers()),
    all_statistics=client.get_inference_statistics(headers=headers()),
    id=binary.get_response()["id"],
    receipt=binary.get_response()["parameters"]["receipt"],
    labels=[text.decode() for text in binary.as_numpy("label").ravel()],
    ranked=[text.decode() for text in ranked.as_numpy("probabilities").ravel()],
    answers={
        "binary": binary.as_numpy("probabilities").tolist(),
        "plain": plain.as_numpy("probabilities").tolist(),
        "gzip": packed.as_numpy("probabilities").tolist(),
        "async": pending.get_result().as_numpy("probabilities").tolist(),
        "aio": aio,
        "version": client.infer(MODEL, inputs(triton, described), "1", headers=headers())
        .as_numpy("probabilities")
        .tolist(),
    },
    aio_live=aio_live,
    without_key=refusal(lambda: client.infer(MODEL, inputs(triton, described))),
    unknown_model=refusal(lambda: client.infer("nothing", inputs(triton, described), headers=headers())),
    few_inputs=refusal(lambda: client.infer(MODEL, inputs(triton, described)[:1], headers=headers())),
)
