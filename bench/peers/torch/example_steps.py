"""Training steps of the networks in examples/, spelled as there. Arrays have the names that they have there."""

from typing import Callable

import torch
import torch.nn.functional as F

Arrays = dict[str, torch.Tensor]


def linear(p: Arrays, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])


def norm(p: Arrays, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])


def gpt(p: Arrays, inputs: torch.Tensor, labels: torch.Tensor, heads: int, drops: bool) -> torch.Tensor:
    count, length = inputs.shape
    x = F.embedding(inputs.long(), p["letters.weight"]) + p["places.weight"]

    def in_heads(y: torch.Tensor) -> torch.Tensor:
        return y.view(count, length, heads, -1).transpose(1, 2)

    block = 0
    while f"blocks.{block}.widen.weight" in p:
        name = f"blocks.{block}"
        y = norm(p, f"{name}.attentionNorm", x)
        q, k, v = (in_heads(linear(p, f"{name}.attention.{part}", y)) for part in ("query", "key", "value"))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + linear(p, f"{name}.attention.output", y.transpose(1, 2).reshape(count, length, -1))
        y = F.gelu(linear(p, f"{name}.widen", norm(p, f"{name}.wideNorm", x)), approximate="tanh")
        x = x + linear(p, f"{name}.narrow", y)
        block += 1
    logits = linear(p, "output", norm(p, "norm", x))
    return F.cross_entropy(logits.flatten(0, 1), labels.long().flatten())


def classifier(p: Arrays, inputs: torch.Tensor, labels: torch.Tensor, heads: int, drops: bool) -> torch.Tensor:
    x = inputs / 255
    for name in ("first", "second"):
        x = F.max_pool2d(F.relu(F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)), 2)
    x = F.dropout(x.flatten(1), 0.25, training=drops)
    return F.cross_entropy(linear(p, "output", x), labels.long())


def mlp(p: Arrays, inputs: torch.Tensor, labels: torch.Tensor, heads: int, drops: bool) -> torch.Tensor:
    x = linear(p, "0", inputs / 7)
    x = linear(p, "1", torch.tanh(x))
    return F.cross_entropy(linear(p, "2", torch.tanh(x)), labels.long())


def neural_ode(p: Arrays, inputs: torch.Tensor, labels: torch.Tensor, heads: int, drops: bool) -> torch.Tensor:
    h = 0.05

    def motion(x: torch.Tensor) -> torch.Tensor:
        return linear(p, "output", torch.tanh(linear(p, "hidden", x**3)))

    x, places = inputs, []
    for _ in range(len(labels)):
        k1 = motion(x)
        k2 = motion(x + k1 * (h / 2))
        k3 = motion(x + k2 * (h / 2))
        k4 = motion(x + k3 * h)
        x = x + (k1 + (k2 + k3) * 2 + k4) * (h / 6)
        places.append(x)
    return (torch.stack(places) - labels).abs().mean()


def gradient_penalty(p: Arrays, inputs: torch.Tensor, labels: torch.Tensor, heads: int, drops: bool) -> torch.Tensor:
    def distance(x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(linear(p, "second", torch.tanh(linear(p, "first", x))))
        return linear(p, "output", h).flatten()

    def slopes(points: torch.Tensor) -> torch.Tensor:
        x = points.detach().requires_grad_(True)
        return torch.autograd.grad(distance(x).sum(), x, create_graph=True)[0]

    penalty = (slopes(labels).norm(dim=1) - 1).square().mean()
    return distance(inputs).abs().mean() + (slopes(inputs) - inputs).square().mean() + penalty


networks: dict[str, Callable[..., torch.Tensor]] = {
    "gpt": gpt,
    "classifier": classifier,
    "mlp": mlp,
    "neuralOde": neural_ode,
    "gradientPenalty": gradient_penalty,
}


class ExampleStep:
    def __init__(self, work: dict, arrays: Arrays):
        self.batch = {"inputs": arrays.pop("inputs"), "labels": arrays.pop("labels"), "heads": work["heads"]}
        self.arrays = {name: array.requires_grad_(True) for name, array in arrays.items()}
        self.parameters = list(self.arrays.values())
        self.loss = networks[work["network"]]
        self.clips = work["network"] == "gpt"
        if self.clips:
            groups = [
                {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": 0.1},
                {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},
            ]
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=1e-3)
        else:
            self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)

    def step(self) -> float:
        """One whole step; its loss is fetched."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.arrays, **self.batch, drops=True)
        loss.backward()
        if self.clips:
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss.item()

    def gradients(self) -> list[torch.Tensor]:
        """The loss without dropout, and the gradient of each array."""
        loss = self.loss(self.arrays, **self.batch, drops=False)
        return [loss, *torch.autograd.grad(loss, self.parameters)]
