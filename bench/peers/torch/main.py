"""PyTorch as a peer. Requests and answers are lines of JSON on stdin and stdout; work is timed in here."""

import ctypes
import json
import os
import platform
import sys
import time

import torch

import kernels
from example_steps import ExampleStep
from numbers_for import inputs_for, read_arrays, read_raw, write_raw
from training import Training, sampler


# Waits for what was given to the GPU, if it is one that computes.
finish = lambda: None


def choose_device(name: str) -> dict:
    """Arrays are made on the CPU, or with `cuda` on the GPU, from here on."""
    global finish
    if name == "cpu":
        return {}
    if not torch.cuda.is_available():
        raise RuntimeError(f"PyTorch {torch.__version__} sees no CUDA device")
    torch.set_default_device("cuda")
    finish = torch.cuda.synchronize
    # The fastest convolution of each shape, found when it first runs.
    torch.backends.cudnn.benchmark = True
    return {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}


def choose_precision(tf32: bool) -> dict:
    """Whether products and convolutions may round what they multiply to TF32's ten bits."""
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    return {}


class Prepared:
    def __init__(self, request: dict):
        work = request["work"]
        variant = request.get("variant", "eager")
        if variant == "compiled" and not hasattr(torch, "compile"):
            raise RuntimeError(f"PyTorch {torch.__version__} has no torch.compile")
        if variant == "compiled":
            # Of a function that was compiled for eight shapes, it would run others uncompiled without a word.
            torch._dynamo.reset()
        self.training = None
        if work["kind"] == "training":
            arrays = read_arrays(request["folder"], request["arrays"]) if "arrays" in request else None
            self.training = Training(work, arrays, variant)
            self.run = self.training.step
        elif work["kind"] == "exampleStep":
            self.training = ExampleStep(work, read_arrays(request["folder"], request["arrays"]))
            self.run = self.training.step
        elif work["kind"] == "sampling":
            arrays = read_arrays(request["folder"], request["arrays"])
            noise = read_raw(f"{request['folder']}/noise", work["shape"])
            labels = torch.eye(work["network"]["unet"]["labelDim"])[torch.tensor(work["classes"])]
            self.run = sampler(work, arrays, noise, labels)
        else:
            self.run = kernels.prepare(work, inputs_for(request["inputs"]), variant)


def peak_memory() -> int:
    """The largest resident set of this process so far, in bytes."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def libraries() -> dict:
    """The BLAS libraries of this process, once a product has been made, and how each OpenBLAS makes threads."""
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))
    with open("/proc/self/maps") as file:
        files = sorted({line.split()[-1] for line in file if "/lib" in line})
    blas = [name for name in files if any(word in os.path.basename(name) for word in ("blas", "mkl", "blis"))]
    threads = []
    for name in blas:
        try:
            threads.append(ctypes.CDLL(name).openblas_get_parallel())
        except (AttributeError, OSError):
            pass  # None of OpenBLAS's, or another package's own copy under other names.
    return {"blas": blas, "openblasThreads": threads, "mkl": torch.backends.mkl.is_available()}


def answer(prepared: dict[int, Prepared], request: dict) -> dict:
    what = request["do"]
    if what == "describe":
        torch.set_num_threads(request["threads"])
        torch.set_num_interop_threads(1)
        gpu = choose_device(request.get("device", "cpu"))
        return {
            **gpu,
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "coreType": os.environ.get("OPENBLAS_CORETYPE"),
            **libraries(),
        }
    if what == "precision":
        return choose_precision(request["tf32"])
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
        finish()
        start = time.perf_counter()
        for _ in range(request["times"]):
            one.run()
        finish()
        return {"seconds": time.perf_counter() - start}
    if what == "results":
        results = one.training.gradients() if isinstance(one.training, ExampleStep) else one.run()
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
