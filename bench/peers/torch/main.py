"""PyTorch as a peer. Requests and answers are lines of JSON on stdin and stdout; work is timed in here."""

import json
import platform
import sys
import time

import torch

import kernels
from numbers_for import inputs_for, read_arrays, read_raw, write_raw
from training import Training, sampler


class Prepared:
    def __init__(self, request: dict):
        work = request["work"]
        self.training = None
        if work["kind"] == "training":
            arrays = read_arrays(request["folder"], request["arrays"]) if "arrays" in request else None
            self.training = Training(work, arrays)
            self.run = self.training.step
        elif work["kind"] == "sampling":
            arrays = read_arrays(request["folder"], request["arrays"])
            noise = read_raw(f"{request['folder']}/noise", work["shape"])
            labels = torch.eye(work["network"]["unet"]["labelDim"])[torch.tensor(work["classes"])]
            self.run = sampler(work, arrays, noise, labels)
        else:
            self.run = kernels.prepare(work, inputs_for(request["inputs"]))


def peak_memory() -> int:
    """The largest resident set of this process so far, in bytes."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def answer(prepared: dict[int, Prepared], request: dict) -> dict:
    what = request["do"]
    if what == "describe":
        torch.set_num_threads(request["threads"])
        torch.set_num_interop_threads(1)
        return {"version": torch.__version__, "threads": torch.get_num_threads(), "python": platform.python_version()}
    if what == "peakMemory":
        return {"bytes": peak_memory()}
    number = request["id"]
    if what == "prepare":
        prepared[number] = Prepared(request)
        return {}
    if what == "dispose":
        del prepared[number]
        return {}
    one = prepared[number]
    if what == "measure":
        start = time.perf_counter()
        for _ in range(request["times"]):
            one.run()
        return {"seconds": time.perf_counter() - start}
    if what == "results":
        results = one.run()
        for i, result in enumerate(results):
            write_raw(f"{request['folder']}/{i}", result)
        return {"count": len(results)}
    if what == "parameters":
        return {"count": sum(p.numel() for p in one.training.parameters)}
    if what == "steps":
        shape, labels = request["shape"], request["labels"]
        folder = request["folder"]
        batch = [read_raw(f"{folder}/{name}", form) for name, form in
                 [("images", shape), ("labels", labels), ("sigma", shape[:1]), ("noise", shape)]]
        return {"steps": [one.training.step_on(*batch) for _ in range(request["count"])]}
    raise ValueError(f"unknown request {what}")


def main() -> None:
    prepared: dict[int, Prepared] = {}
    for line in sys.stdin:
        try:
            reply = answer(prepared, json.loads(line))
        except Exception as error:  # Told to whoever asked; it decides.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


main()
