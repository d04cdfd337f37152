"""Single operations and small programs, spelled as in bench/evenkeel.ts."""

import math
from typing import Callable

import torch
import torch.nn.functional as F


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    logits = torch.matmul(q, k.transpose(-1, -2)) * (1 / math.sqrt(q.shape[-1]))
    return torch.matmul(torch.softmax(logits, -1), v)


def arithmetic_chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    a = x * y + 0.5
    b = a * a - x
    c = torch.maximum(b, y) * 0.75 + x
    return torch.minimum(c * a, y) - b


def smooth_chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    a = x * y + 0.5
    b = a * a - x * 0.25
    c = b / (y * y + 1)
    return torch.tanh(c) + torch.exp(c * -1)


def conv_net(x: torch.Tensor, *filters: torch.Tensor) -> torch.Tensor:
    for weight in filters:
        x = F.silu(F.conv2d(x, weight, padding=1))
    return x.square().mean()


def with_gradients(
    function: Callable[..., torch.Tensor], inputs: list[torch.Tensor]
) -> Callable[[], list[torch.Tensor]]:
    """The result, and the gradient of all inputs but the last, which is the result's cotangent."""
    *variables, cotangent = [tensor.requires_grad_(i < len(inputs) - 1) for i, tensor in enumerate(inputs)]

    def run() -> list[torch.Tensor]:
        result = function(*variables)
        return [result, *torch.autograd.grad(result, variables, cotangent)]

    return run


def prepare(work: dict, inputs: list[torch.Tensor], variant: str) -> Callable[[], list[torch.Tensor]]:
    """`variant`: `eager`, `channelsLast` (images and filters as [N, H, W, C] in memory) or `compiled`."""
    kind = work["kind"]
    if variant == "channelsLast":
        inputs = [x.contiguous(memory_format=torch.channels_last) for x in inputs]

    def made(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        return torch.compile(function, dynamic=False) if variant == "compiled" else function

    if kind == "convNet":
        net = made(conv_net)
        image, *filters = inputs
        for weight in filters:
            weight.requires_grad_(True)

        def value_and_gradient() -> list[torch.Tensor]:
            value = net(image, *filters)
            return [value, *torch.autograd.grad(value, filters)]

        return value_and_gradient

    if kind == "embedding":
        table, numbers, cotangent = inputs
        table.requires_grad_(True)
        rows = work["rows"]

        def rows_and_gradient() -> list[torch.Tensor]:
            index = torch.clamp((numbers * 0.5 + 0.5) * rows, max=rows - 1).to(torch.int64)
            value = F.embedding(index, table)
            return [value, *torch.autograd.grad(value, [table], cotangent)]

        return rows_and_gradient

    functions: dict[str, Callable[..., torch.Tensor]] = {
        "matmul": torch.matmul,
        "conv": lambda x, w: F.conv2d(x, w, padding=work.get("kernel", 1) // 2),
        "attention": attention,
        "chain": smooth_chain if work.get("functions") == "smooth" else arithmetic_chain,
        "reduce": lambda x: x.sum(work.get("axis")),
        "softmax": lambda x: torch.softmax(x, -1),
        "norm": lambda x: F.layer_norm(x, x.shape[-1:], eps=1e-5),
    }
    function = made(functions[kind])
    if work.get("gradients", False):
        return with_gradients(function, inputs)

    def forward() -> list[torch.Tensor]:
        with torch.no_grad():
            return [function(*inputs)]

    return forward
