"""MLflow's client of scoring servers. It sends no headers of its own: the key goes into the address."""

import json

import pandas as pd
from called import HOST, KEY, MODEL, ROWS, say
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

client = ScoringServerClient(f"key:{KEY}@{HOST.partition(':')[0]}", f"{HOST.partition(':')[2]}/mlflow/{MODEL}")
client.wait_server_ready(timeout=20)
client.ping()
frame = pd.DataFrame(ROWS).astype(object)
table = client.invoke(frame.where(frame.notna(), None)).get_predictions()
instances = client.invoke(json.dumps({"instances": ROWS})).get_predictions()
columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
inputs = client.invoke(json.dumps({"inputs": columns})).get_predictions()
records = client.invoke(ROWS).get_predictions()
try:
    client.invoke([{"nothing": 1}])
    refused = None
except Exception as error:
    refused = str(error)


def rows(answers):
    return [[one["probability"], one["value"]] for one in answers.to_dict("records")]


say(
    version=str(client.get_version()),
    refused=json.dumps(refused),
    answers={"table": rows(table), "instances": rows(instances), "inputs": rows(inputs), "records": rows(records)},
)
