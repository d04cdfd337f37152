"""Runs exported functions that come as lines of JSON, and answers each with a line of its results."""

import base64
import json
import sys

import numpy
import torch

sys.path.insert(0, sys.argv[1])

DTYPES = {"f32": torch.float32, "i32": torch.int32, "u32": torch.int64, "bool": torch.bool}


def decoded(array):
    data = numpy.frombuffer(base64.b64decode(array["data"]), dtype="<f8").copy()
    return torch.from_numpy(data).to(DTYPES[array["dtype"]]).reshape(array["shape"])


def answer(request):
    scope = {}
    exec(request["source"], scope)
    inputs = {name: decoded(array) for name, array in request["inputs"].items()}
    results = scope[request["name"]](inputs, "cpu")
    return [base64.b64encode(result.double().contiguous().numpy().tobytes()).decode() for result in results.values()]


torch.set_num_threads(1)
with torch.no_grad():
    for line in sys.stdin:
        try:
            told = {"results": answer(json.loads(line))}
        except Exception as reason:
            told = {"error": f"{type(reason).__name__}: {reason}"}
        print(json.dumps(told), flush=True)
