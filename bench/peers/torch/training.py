"""A step of EDM2's training, and its sampler."""

import math
from typing import Callable, Optional

import torch

from network import Denoiser


def power_exponent(sigma_rel: float) -> float:
    """gamma of the power-function profile of this width: sigma_rel^2 = (g + 1) / ((g + 2)^2 (g + 3)), by bisection."""
    low, high = 0.0, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        width = math.sqrt((middle + 1) / ((middle + 2) ** 2 * (middle + 3)))
        low, high = (middle, high) if width > sigma_rel else (low, middle)
    return (low + high) / 2


class Training:
    """Network, Adam and two averages. `step` is one whole step on a fixed batch, with noise drawn anew."""

    def __init__(self, work: dict, arrays: Optional[dict[str, torch.Tensor]] = None, variant: str = "eager"):
        self.work = work
        # Numbers of the step are fetched, for which a GPU has to be waited for.
        self.reports = work.get("reports", True)
        unet = work["network"]["unet"]
        count, size = work["batch"], unet["imageResolution"]
        self.model = Denoiser(work["network"]).train()
        if arrays is not None:
            self.model.load_state_dict(arrays)
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, lr=work["rate"], betas=(0.9, 0.99), eps=1e-8)
        self.exponents = [power_exponent(sigma_rel) for sigma_rel in work["emaSigmaRels"]]
        self.averages = [[p.detach().clone() for p in self.parameters] for _ in self.exponents]
        self.format = torch.channels_last if variant == "channelsLast" else torch.contiguous_format
        self.model.to(memory_format=self.format)
        self.denoise = torch.compile(self.model, dynamic=False) if variant == "compiled" else self.model
        self.nimg = 0
        self.images = torch.randn(count, unet["imageChannels"], size, size) * 0.5
        self.labels = torch.eye(unet["labelDim"])[torch.arange(count) % unet["labelDim"]]

    def batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        normals = torch.randn(len(self.images))
        sigma = (normals * self.work["noise"]["standardDeviation"] + self.work["noise"]["mean"]).exp()
        return self.images, self.labels, sigma, torch.randn_like(self.images)

    def step(self) -> dict:
        return self.step_on(*self.batch())

    def step_on(self, images, labels, sigma, noise) -> dict:
        count = len(images)
        self.optimizer.zero_grad(set_to_none=True)
        per_image = sigma.reshape(-1, 1, 1, 1)
        s = self.work["network"]["sigmaData"]
        weight = (per_image**2 + s**2) / (per_image * s) ** 2
        error = weight * (self.denoise((images + per_image * noise).contiguous(memory_format=self.format), sigma, labels) - images) ** 2
        u = self.model.logvar(sigma)
        loss = error / u.exp() + u
        (loss.sum() / count).backward()
        with torch.no_grad():
            gradients = [p.grad for p in self.parameters]
            for gradient in gradients:
                torch.nan_to_num(gradient, nan=0, posinf=0, neginf=0, out=gradient)
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
            self.optimizer.step()
            self.nimg += count
            for exponent, average in zip(self.exponents, self.averages):
                beta = (1 - count / self.nimg) ** (exponent + 1)
                for mean, parameter in zip(average, self.parameters):
                    mean.lerp_(parameter, 1 - beta)
            if not self.reports:
                return {}
            return {
                "error": error.mean([1, 2, 3]).tolist(),
                "loss": loss.mean([1, 2, 3]).tolist(),
                "gradientNorm": norm.item(),
            }


def noise_levels(steps: int) -> list[float]:
    smin, smax, rho = 0.002, 80, 7
    bend = [smax ** (1 / rho) + i / (steps - 1) * (smin ** (1 / rho) - smax ** (1 / rho)) for i in range(steps)]
    return [level**rho for level in bend] + [0.0]


def sampler(
    work: dict, arrays: dict[str, torch.Tensor], noise: torch.Tensor, labels: torch.Tensor
) -> Callable[[], list[torch.Tensor]]:
    """Heun's rule over `steps` noise levels, the state in float64."""
    model = Denoiser(work["network"]).eval()
    model.load_state_dict(arrays)
    levels = noise_levels(work["steps"])

    def denoise(x: torch.Tensor, level: float) -> torch.Tensor:
        return model(x.float(), torch.full([len(x)], level), labels).double()

    @torch.no_grad()
    def run() -> list[torch.Tensor]:
        x = noise.double() * levels[0]
        for level, following in zip(levels, levels[1:]):
            slope = (x - denoise(x, level)) / level
            ahead = x + (following - level) * slope
            if following > 0:
                slope = (slope + (ahead - denoise(ahead, following)) / following) / 2
            x = x + (following - level) * slope
        return [x]

    return run
