/** `files.py` of an exported run: what Evenkeel's run folder holds, read and written as Evenkeel does. */
export const filesScript = String.raw`"""The run's own files: checkpoints, snapshots of the averages, and the log of the losses."""

import json
import math
import os
import re
import sys

import torch

from arrays import read_arrays, read_header, write_arrays, whole

CHECKPOINT = re.compile(r"^training-state-(\d{10,})\.safetensors$")


def checkpoints(folder):
    """Names of the checkpoints, the newest first."""
    names = [name for name in os.listdir(folder) if CHECKPOINT.match(name)]
    return sorted(names, key=lambda name: -int(CHECKPOINT.match(name)[1]))


def read_checkpoint(folder, run, device):
    """The state of the newest checkpoint that can be read, and what it says."""
    problems = []
    for name in checkpoints(folder):
        path = os.path.join(folder, name)
        try:
            arrays, metadata = read_arrays(path)
            told = json.loads(metadata["evenkeel"])
            require_same(run, {name: list(array.shape) for name, array in arrays.items()}, told["fixed"], path)
            state = {name: torch.tensor(array, dtype=torch.float32, device=device) for name, array in arrays.items()}
            return state, told
        except (ValueError, KeyError, OSError) as reason:
            problems.append(f"{path}: {reason}")
            print(f"passing over a checkpoint: {problems[-1]}", file=sys.stderr)
    sys.exit(f"{folder}: no checkpoint can be read. {' '.join(problems)}")


def require_same(run, shapes, fixed, path):
    """Refuses a checkpoint of another run than this folder was written for."""
    for name, shape in run["arrays"].items():
        if shapes.get(name) != shape:
            sys.exit(f"{path}: {name} has the shape {shapes.get(name)}, expected {shape}. Was it written by another run?")
    difference = first_difference(fixed, run["fixed"])
    if difference is not None:
        sys.exit(f"{path}: is of a run with other settings: {difference}.")


def first_difference(was, now, name=""):
    """Where nested settings differ; what only one of both tells about, an older program's or a newer one's, isn't compared."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return None if was == now else f"{name} was {was}, here it is {now}"
    both = [key for key in was if key in now]
    found = (first_difference(was[key], now[key], f"{name}.{key}" if name else key) for key in both)
    return next((each for each in found if each is not None), None)


def write_checkpoint(folder, nimg, state, run, progress, keep=2):
    told = {"version": 1, "kind": "checkpoint", "nimg": nimg, "fixed": run["fixed"], "progress": progress}
    path = os.path.join(folder, f"training-state-{nimg:010d}.safetensors")
    arrays = {name: state[name] for name in run["arrays"]}
    write_arrays(path, arrays, "F32", {"evenkeel": json.dumps(told)})
    for old in [name for name in checkpoints(folder) if int(CHECKPOINT.match(name)[1]) <= nimg][keep:]:
        os.remove(os.path.join(folder, old))
    return path


def write_snapshots(folder, nimg, state, run):
    """The averages, each a file that is sampled from and averaged further."""
    for i, profile in enumerate(run["snapshots"]["profiles"]):
        told = {"version": 1, "kind": "snapshot", **profile["info"], "nimg": nimg}
        arrays = {}
        for name in run["snapshots"]["arrays"]:
            average = f"averages[{i}].{name}"
            arrays[name] = state[average if average in state else f"buffers.{name}"]
        path = snapshot_path(folder, nimg, profile["name"])
        write_arrays(path, arrays, run["snapshots"]["dtype"], {"format": "pt", "evenkeel": json.dumps(told)})


def snapshot_path(folder, nimg, length):
    """The name tells thousands of images; another state of the same thousand gets one that tells them exactly."""
    usual = os.path.join(folder, f"network-snapshot-{nimg // 1000:07d}-{length}.safetensors")
    if nimg == 0 or not os.path.exists(usual):
        return usual
    try:
        told = json.loads(read_header(usual)[2]["evenkeel"])["nimg"]
    except (ValueError, KeyError):
        return usual
    if told in (0, nimg):
        return usual
    return os.path.join(folder, f"network-snapshot-{nimg // 1000:07d}.{nimg % 1000:03d}-{length}.safetensors")


class Mean:
    """Numbers gathered over an interval. Those that aren't finite are counted and left out of the mean."""

    def __init__(self, kept=None):
        self.kept = kept or {"num": 0, "sum": 0, "squares": 0, "nonFinite": 0}

    def add(self, value):
        if math.isfinite(value):
            self.kept["num"] += 1
            self.kept["sum"] += value
            self.kept["squares"] += value**2
        else:
            self.kept["nonFinite"] += 1

    def summary(self):
        num = self.kept["num"]
        if num == 0:
            return {"mean": None, "std": None, "num": 0, "nonFinite": self.kept["nonFinite"]}
        mean = self.kept["sum"] / num
        std = math.sqrt(max(self.kept["squares"] / num - mean**2, 0))
        return {"mean": mean, "std": std, "num": num, "nonFinite": self.kept["nonFinite"]}


class Log:
    """stats.jsonl: a line a status, and what the next line says of steps before a checkpoint."""

    NAMES = ("error", "loss", "gradientNorm")

    def __init__(self, folder, nimg, progress):
        self.path = os.path.join(folder, "stats.jsonl")
        means = progress.get("means", {})
        self.means = {name: Mean(means.get(name)) for name in self.NAMES}
        self.extra = progress.get("extra", {})
        self.non_finite = progress.get("nonFiniteGradients", 0)
        self.seconds_before = progress.get("seconds", 0)
        self.keep(nimg)

    def keep(self, nimg):
        """Lines of work that was lost go, and one that was torn."""
        lines = open(self.path, encoding="utf8").read().split("\n") if os.path.exists(self.path) else []
        kept = []
        for line in lines:
            try:
                if json.loads(line)["nimg"] <= nimg:
                    kept.append(line + "\n")
            except (ValueError, KeyError):
                continue
        with whole(self.path) as file:
            file.write("".join(kept).encode())

    def progress(self, seconds):
        means = {name: mean.kept for name, mean in self.means.items()}
        before = self.seconds_before + seconds
        return {"means": means, "extra": self.extra, "nonFiniteGradients": self.non_finite, "seconds": before}

    def write(self, nimg, rate, images_per_second, seconds, now):
        entry = {
            "nimg": nimg,
            "Progress/kimg": nimg / 1000,
            "Timing/total_sec": self.seconds_before + seconds,
            "Timing/sec_per_kimg": 1000 / images_per_second,
            "Timing/images_per_sec": images_per_second,
            "Loss/loss": self.means["loss"].summary(),
            "Loss/error": self.means["error"].summary(),
            "Loss/learning_rate": rate,
            "Loss/gradient_norm": self.means["gradientNorm"].summary(),
            "Loss/non_finite_gradients": self.non_finite,
            **self.extra,
            "timestamp": now,
        }
        with open(self.path, "a", encoding="utf8") as file:
            file.write(json.dumps(entry) + "\n")
        self.means = {name: Mean() for name in self.NAMES}
        self.extra = {}
        return entry
`;
