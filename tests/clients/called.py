"""What a client's program is given, and how it says what it saw. Runs in the environment of that client alone."""

import json
import os
import sys

URL = os.environ["CALLED_URL"]
HOST = URL.partition("://")[2]
GRPC = os.environ["CALLED_GRPC"]
KEY = os.environ["CALLED_KEY"]
MODEL = os.environ["CALLED_MODEL"]
ROWS = json.loads(os.environ["CALLED_ROWS"])


def headers():
    """New ones for each call: tritonclient adds to those that it is given."""
    return {"authorization": f"Bearer {KEY}"}


def cells(inputs):
    """Of each input its name, datatype and column of cells; numbers that are not known are NaN, texts empty."""
    for name, datatype in inputs:
        number = datatype == "FP32"
        column = [row[name] for row in ROWS]
        missing = float("nan") if number else ""
        yield name, datatype, [missing if cell is None else cell if number else str(cell) for cell in column]


def say(**seen):
    json.dump(seen, sys.stdout)
