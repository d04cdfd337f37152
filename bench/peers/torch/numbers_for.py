"""The numbers that every contender computes with, and raw float32 files between the processes."""

import ctypes

import torch

MODULUS = 2147483647
FACTOR = 48271


def uniform(count: int, state: int) -> tuple[torch.Tensor, int]:
    """`count` numbers in [-1, 1) in float64 from a multiplicative generator, and its state behind them."""
    states = torch.tensor([state * FACTOR % MODULUS], dtype=torch.int64)
    while len(states) < count:
        # The generator jumps len(states) places at once.
        jump = pow(FACTOR, len(states), MODULUS)
        states = torch.cat([states, states[: count - len(states)] * jump % MODULUS])
    return 2 * states.double() / MODULUS - 1, int(states[-1])


def inputs_for(inputs: list[dict]) -> list[torch.Tensor]:
    """One float32 tensor for each `{"shape": [...], "scale": number}`, from one stream."""
    state = 1
    tensors = []
    for spec in inputs:
        count = 1
        for extent in spec["shape"]:
            count *= extent
        values, state = uniform(count, state)
        tensors.append((values * spec["scale"]).float().reshape(spec["shape"]))
    return tensors


def write_raw(path: str, tensor: torch.Tensor) -> None:
    values = tensor.detach().float().contiguous()
    with open(path, "wb") as file:
        file.write(ctypes.string_at(values.data_ptr(), 4 * values.numel()))


def read_raw(path: str, shape: list[int]) -> torch.Tensor:
    with open(path, "rb") as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.float32).reshape(shape)


def read_arrays(folder: str, arrays: list[dict]) -> dict[str, torch.Tensor]:
    """Arrays that lie one behind the other in the file `arrays`: `{"name": ..., "shape": [...]}` each."""
    with open(f"{folder}/arrays", "rb") as file:
        values = torch.frombuffer(bytearray(file.read()), dtype=torch.float32)
    named = {}
    offset = 0
    for array in arrays:
        count = 1
        for extent in array["shape"]:
            count *= extent
        named[array["name"]] = values[offset : offset + count].reshape(array["shape"]).clone()
        offset += count
    if offset != len(values):
        raise ValueError(f"{len(values)} numbers for arrays of {offset}")
    return named
