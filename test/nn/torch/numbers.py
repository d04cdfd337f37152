"""What PyTorch makes of layers, losses, optimizers and rates: `python3 test/nn/torch/numbers.py > test/nn/torch/numbers.json`."""

import json
from typing import Callable

import torch
import torch.nn.functional as F

numbers: dict[str, list[float]] = {}


def keep(**tensors: torch.Tensor) -> None:
    for name, values in tensors.items():
        # Nine digits hold a float32.
        numbers[name] = [float(f"{value:.9g}") for value in values.detach().flatten().tolist()]


def losses() -> None:
    logits, labels = torch.randn(6, 5), torch.tensor([0, 4, -100, 2, 2, 1])
    weights, targets = torch.tensor([0.5, 1, 2, 0.25, 3]), torch.rand(6, 5)
    keep(logits=logits, labels=labels, weights=weights, targets=targets)
    for reduction in ("none", "sum", "mean"):
        for weight, smoothing in ((weights, 0.1), (weights, 0.0), (None, 0.25)):
            loss = F.cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing, reduction=reduction)
            keep(**{f"crossEntropy {weight is not None} {smoothing:g} {reduction}": loss})
    keep(binaryCrossEntropy=F.binary_cross_entropy_with_logits(logits, targets, pos_weight=torch.tensor(2.5)))


def norms() -> None:
    images, layer = torch.randn(4, 3, 2, 2), torch.nn.BatchNorm2d(3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1, 2, 0.5]))
        layer.bias.copy_(torch.tensor([0.125, -0.25, 0.5]))
    keep(images=images, batchNormTraining=layer(images), mean=layer.running_mean, variance=layer.running_var)
    keep(batchNorm=layer.eval()(images))
    rows, scale, shift = torch.randn(3, 2, 4), torch.randn(2, 4), torch.randn(2, 4)
    keep(rows=rows, scale=scale, shift=shift, layerNorm=F.layer_norm(rows, (2, 4), scale, shift))


def attention() -> None:
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        layer.in_proj_bias.normal_()
        layer.out_proj.bias.normal_()
    queries, context, added = torch.randn(3, 4, 8), torch.randn(3, 5, 8), torch.randn(4, 5)
    padding = torch.arange(5) >= torch.tensor([[5], [3], [1]])
    keep(queries=queries, context=context, added=added)
    keep(inWeight=layer.in_proj_weight, inBias=layer.in_proj_bias)
    keep(outWeight=layer.out_proj.weight, outBias=layer.out_proj.bias)
    keep(attentionPadded=layer(queries, context, context, key_padding_mask=padding)[0])
    keep(attentionAdded=layer(queries, context, context, attn_mask=added)[0])


def optimizers() -> None:
    made: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.125, momentum=0.9, nesterov=True, weight_decay=0.0625),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.125, momentum=0.75),
        "adam": lambda p: torch.optim.Adam(p, lr=0.0625),
        "adamW": lambda p: torch.optim.AdamW(p, lr=0.0625, betas=(0.9, 0.95), weight_decay=0.25),
    }
    for name, make in made.items():
        parameter = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = make([parameter])
        for step in range(5):
            optimizer.zero_grad()
            (parameter**2 * torch.tensor([1, 0.5, 0.125]) * (step + 1)).sum().backward()
            optimizer.step()
        keep(**{name: parameter})
    gradients = [torch.tensor([3.0, 4.0], requires_grad=True), torch.tensor([12.0], requires_grad=True)]
    sum((gradient * gradient).sum() / 2 for gradient in gradients).backward()
    torch.nn.utils.clip_grad_norm_(gradients, 2.0)
    keep(clipped=torch.cat([gradient.grad for gradient in gradients]))


def rates() -> None:
    steps = 37
    for anneal in ("cos", "linear"):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.75, total_steps=steps, anneal_strategy=anneal)
        rate = []
        for step in range(steps):
            rate.append(schedule.get_last_lr()[0])
            optimizer.step()
            if step + 1 < steps:
                schedule.step()
        keep(**{f"oneCycle {anneal}": torch.tensor(rate, dtype=torch.float64)})


torch.manual_seed(0)
for part in (losses, norms, attention, optimizers, rates):
    part()
print(json.dumps({"torch": torch.__version__, **numbers}))
