/** `train.py` of an exported run: the loop over its steps, in one process or several. */
export const trainScript = String.raw`"""Goes on with the run in this folder: python train.py, or torchrun --nproc_per_node 2 train.py.

A step is two generated functions: gradient.py for the part of the batch that a process has, then, once the processes have added
their gradients up, update.py for the whole. README.md says more."""

import argparse
import json
import math
import os
import signal
import sys
import time

import torch
import torch.distributed as dist

import primitives
from arrays import read_arrays
from data import Batches
from files import Log, read_checkpoint, write_checkpoint, write_snapshots
from gradient import gradient
from update import update

FOLDER = os.path.dirname(os.path.abspath(__file__))
KNOWN = 1


def arguments():
    parser = argparse.ArgumentParser(description="Goes on with the run in this folder.")
    parser.add_argument("--precision", choices=("float32", "tf32", "bfloat16"), default="float32",
                        help="what products and convolutions multiply in (default: float32)")
    parser.add_argument("--images", type=int, default=0, metavar="COUNT",
                        help="images that go through the network of a process at once (default: all it has of a batch)")
    parser.add_argument("--steps", type=int, default=0, metavar="COUNT",
                        help="stop after so many steps, with a checkpoint (default: at the run's end)")
    parser.add_argument("--compile", action="store_true", help="let torch.compile fuse the generated functions")
    parser.add_argument("--losses", action="store_true", help="print the loss of every step")
    return parser.parse_args()


class Processes:
    """The processes that share a batch; torchrun tells each which it is."""

    def __init__(self):
        self.rank = int(os.environ.get("RANK", 0))
        self.count = int(os.environ.get("WORLD_SIZE", 1))
        has_cuda = torch.cuda.is_available()
        if has_cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        self.device = torch.device("cuda", torch.cuda.current_device()) if has_cuda else torch.device("cpu")
        if self.count > 1:
            dist.init_process_group("nccl" if has_cuda else "gloo")

    def add_up(self, tensors):
        """The sum over all processes of each tensor, in one message."""
        if self.count == 1:
            return tensors
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors)]

    def close(self):
        if self.count > 1:
            dist.destroy_process_group()


def set_precision(name):
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    if name == "bfloat16":
        primitives.multiply_in(torch.bfloat16)


class Run:
    def __init__(self, options, processes):
        with open(os.path.join(FOLDER, "run.json"), encoding="utf8") as file:
            self.run = json.load(file)
        if self.run.get("version") != KNOWN:
            sys.exit(f"run.json: has version {self.run.get('version')}; this program knows {KNOWN}. Export the run again.")
        self.processes, self.device = processes, processes.device
        self.batch = self.run["batch"]
        self.share, rest = divmod(self.batch, processes.count)
        if rest != 0:
            sys.exit(f"a batch of {self.batch} images can't be shared by {processes.count} processes alike; use a divisor.")
        self.part = options.images or self.share
        if self.part < 1:
            sys.exit(f"--images {options.images}: expected 1 or more")
        self.batches = Batches(os.path.join(FOLDER, "data.safetensors"), self.run)
        self.schedule, self.first = self.read_schedule()
        self.state, told = read_checkpoint(FOLDER, self.run, self.device)
        self.nimg, self.kept = told["nimg"], told.get("progress", {})
        self.gradient = torch.compile(gradient) if options.compile else gradient
        self.update = torch.compile(update) if options.compile else update

    def read_schedule(self):
        arrays, metadata = read_arrays(os.path.join(FOLDER, "schedule.safetensors"))
        return arrays, int(metadata["first"])

    def scheduled(self, before):
        """The scalars of a step."""
        row = (before - self.first) // self.batch
        steps = next(iter(self.schedule.values())).shape[0]
        if not 0 <= row < steps:
            sys.exit(f"schedule.safetensors: tells of images {self.first} to {self.first + steps * self.batch}, not of {before}.")
        return {name: torch.tensor(values[row], device=self.device) for name, values in self.schedule.items()}

    def own_gradient(self, before):
        """The gradient of this process's part of the batch, and the sums of what it reports of its images."""
        first = before + self.processes.rank * self.share
        total, loss, error, bad = {}, 0.0, 0.0, 0
        for start in range(first, first + self.share, self.part):
            positions = range(start, min(start + self.part, first + self.share))
            images, labels = self.batches.at(positions)
            inputs = {
                **self.state,
                "images": torch.from_numpy(images).to(self.device),
                "positions": torch.tensor([p & primitives.MASK for p in positions], device=self.device),
            }
            if labels is not None:
                inputs["labels"] = torch.from_numpy(labels).to(self.device)
            results = self.gradient(inputs, self.device)
            losses = results["loss"].double()
            loss += losses.sum().item()
            error += results["error"].double().sum().item()
            for position, each, sigma in zip(positions, losses.tolist(), results["sigma"].tolist()):
                if not math.isfinite(each):
                    bad += 1
                    print(f"image {position}: the loss is {each} at sigma {sigma}", file=sys.stderr)
            for name, value in results.items():
                if name.startswith("gradient."):
                    total[name] = total[name] + value if name in total else value
        return total, (loss, error, bad)

    def step(self, is_stopping):
        """One step. Gives what it did, and whether any process is asked to stop."""
        before = self.nimg
        total, told = self.own_gradient(before)
        sums = torch.tensor([*told, float(is_stopping)], dtype=torch.float64, device=self.device)
        (sums,) = self.processes.add_up([sums])
        loss, error, bad, stopping = sums.tolist()
        if bad > 0:
            sys.exit(f"the loss isn't finite in the step after {before} images. The last checkpoint is whole; "
                     "lower the learning rate, or look at the data.")
        names = list(total)
        summed = dict(zip(names, self.processes.add_up([total.pop(name) for name in names])))
        schedule = self.scheduled(before)
        results = self.update({**self.state, **summed, **schedule}, self.device)
        norm, non_finite = results.pop("gradientNorm").item(), results.pop("nonFiniteGradients").item()
        self.state = results
        self.nimg = before + self.batch
        report = {
            "loss": loss / self.batch,
            "error": error / self.batch,
            "gradientNorm": norm,
            "nonFiniteGradients": int(non_finite),
            "rate": schedule["schedule.rate"].item() if "schedule.rate" in schedule else None,
        }
        return report, stopping > 0


class Stop:
    """Whether somebody asked for an end: Ctrl-C, or a job's time that is over."""

    def __init__(self):
        self.asked = False
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self.ask)

    def ask(self, *_):
        self.asked = True


def main():
    options = arguments()
    set_precision(options.precision)
    processes = Processes()
    stop = Stop()
    run = Run(options, processes)
    settings, is_first = run.run, processes.rank == 0
    duration, intervals = settings["duration"], settings["intervals"]
    start = time.time()
    log = Log(FOLDER, run.nimg, run.kept) if is_first else None
    if is_first:
        print(f"{run.nimg} of {duration} images, {processes.count} processes on {run.device.type}, {options.precision}", flush=True)
        if run.nimg == 0:
            write_snapshots(FOLDER, 0, run.state, settings)

    def save():
        name = torch.cuda.get_device_name() if run.device.type == "cuda" else None
        arithmetic = {"device": "pytorch", "adapter": name, "fusedMultiplyAdd": None}
        progress = {**log.progress(time.time() - start), "arithmetic": arithmetic}
        print(f"checkpoint  {write_checkpoint(FOLDER, run.nimg, run.state, settings, progress)}", flush=True)

    steps, since, images = 0, time.time(), 0
    while run.nimg < duration:
        before = run.nimg
        report, is_stopping = run.step(stop.asked)
        steps += 1
        images += run.batch
        is_last = run.nimg >= duration or is_stopping or steps == options.steps

        def is_due(interval):
            return run.nimg >= duration or (interval > 0 and run.nimg // interval > before // interval)

        if is_first:
            for name in Log.NAMES:
                log.means[name].add(report[name])
            log.non_finite += report["nonFiniteGradients"]
            if options.losses:
                print(f"loss after {run.nimg}: {report['loss']!r}", flush=True)
            if is_due(intervals["status"]):
                speed = images / max(time.time() - since, 1e-9)
                entry = log.write(run.nimg, report["rate"], speed, time.time() - start, time.time())
                mean = entry["Loss/error"]["mean"]
                print(f"{run.nimg} images  error {mean if mean is None else round(mean, 4)}  {speed:.1f} images/s", flush=True)
                since, images = time.time(), 0
            if is_due(intervals["snapshot"]):
                write_snapshots(FOLDER, run.nimg, run.state, settings)
            if is_last or is_due(intervals["checkpoint"]):
                save()
        if is_last:
            break
    processes.close()


if __name__ == "__main__":
    with torch.no_grad():
        main()
`;
