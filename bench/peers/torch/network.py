"""EDM2's denoiser (configuration G of Karras et al. 2024) in PyTorch. Parameters have the names of the published weights."""

import math
from typing import Optional

import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-4


def normalize(x: torch.Tensor, dims: list[int]) -> torch.Tensor:
    """x / (epsilon + RMS of x over dims)."""
    count = math.prod(x.shape[dim] for dim in dims)
    rms = torch.linalg.vector_norm(x, dim=dims, keepdim=True) * (1 / math.sqrt(count))
    return x / (rms + EPSILON)


def mp_silu(x: torch.Tensor) -> torch.Tensor:
    return F.silu(x) / 0.596


def mp_sum(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    length = math.hypot(1 - t, t)
    return a * ((1 - t) / length) + b * (t / length)


def mp_cat(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    count_a, count_b = a.shape[1], b.shape[1]
    scale = math.sqrt((count_a + count_b) / ((1 - t) ** 2 + t**2))
    return torch.cat([a * (scale * (1 - t) / math.sqrt(count_a)), b * (scale * t / math.sqrt(count_b))], 1)


class MPFourier(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("freqs", 2 * math.pi * torch.randn(channels))
        self.register_buffer("phases", 2 * math.pi * torch.rand(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return math.sqrt(2) * torch.cos(torch.outer(x, self.freqs) + self.phases)


class MPConv(nn.Module):
    """A linear layer (no kernel) or a convolution whose weights have unit length for each output."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 0):
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.randn([out_channels, in_channels] + ([kernel, kernel] if kernel else [])))

    def forward(self, x: torch.Tensor, gain: Optional[torch.Tensor] = None) -> torch.Tensor:
        dims = list(range(1, self.weight.ndim))
        if self.training:
            with torch.no_grad():
                # Forced normalization of what is stored.
                self.weight.copy_(normalize(self.weight, dims))
        scale = 1 / math.sqrt(self.weight[0].numel())
        weight = normalize(self.weight, dims) * (scale if gain is None else gain * scale)
        if self.kernel == 0:
            return x @ weight.t()
        return F.conv2d(x, weight, padding=self.kernel // 2)


class Block(nn.Module):
    def __init__(self, net: dict, flavor: str, inputs: int, outputs: int, embedding: int, mode="keep", attention=False):
        super().__init__()
        self.net, self.flavor, self.mode = net, flavor, mode
        self.heads = outputs // net["channelsPerHead"] if attention else 0
        self.emb_gain = nn.Parameter(torch.zeros([]))
        self.conv_res0 = MPConv(outputs if flavor == "enc" else inputs, outputs, 3)
        self.emb_linear = MPConv(embedding, outputs)
        self.conv_res1 = MPConv(outputs, outputs, 3)
        self.conv_skip = MPConv(inputs, outputs, 1) if inputs != outputs else None
        self.attn_qkv = MPConv(outputs, outputs * 3, 1) if attention else None
        self.attn_proj = MPConv(outputs, outputs, 1) if attention else None

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        if self.mode == "down":
            x = F.avg_pool2d(x, 2)
        elif self.mode == "up":
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        if self.flavor == "enc":
            if self.conv_skip is not None:
                x = self.conv_skip(x)
            x = normalize(x, [1])
        y = self.conv_res0(mp_silu(x))
        scale = self.emb_linear(embedding, self.emb_gain) + 1
        y = self.conv_res1(mp_silu(y * scale[:, :, None, None]))
        if self.flavor == "dec" and self.conv_skip is not None:
            x = self.conv_skip(x)
        x = mp_sum(x, y, self.net["resBalance"])
        if self.heads > 0:
            x = mp_sum(x, self.attention(x), self.net["attnBalance"])
        clip = self.net["clipAct"]
        return x.clamp(-clip, clip)

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        count, channels, height, width = x.shape
        # The index of query, key and value varies fastest.
        parts = self.attn_qkv(x).reshape(count, self.heads, channels // self.heads, 3, height * width)
        q, k, v = normalize(parts, [2]).unbind(3)
        weights = torch.softmax(q.transpose(-1, -2) @ (k / math.sqrt(q.shape[2])), -1)
        return self.attn_proj((v @ weights.transpose(-1, -2)).reshape(x.shape))


class UNet(nn.Module):
    def __init__(self, net: dict):
        super().__init__()
        self.net = net
        widths = [mult * net["modelChannels"] for mult in net["channelMult"]]
        size, blocks, labels = net["imageResolution"], net["numBlocks"], net["labelDim"]
        embedding = max(widths)
        self.out_gain = nn.Parameter(torch.zeros([]))
        self.emb_fourier = MPFourier(widths[0])
        self.emb_noise = MPConv(widths[0], embedding)
        self.emb_label = MPConv(labels, embedding) if labels > 0 else None

        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        channels = net["imageChannels"] + 1
        skips = []
        for level, width in enumerate(widths):
            name = f"{size >> level}x{size >> level}"
            if level == 0:
                self.enc[f"{name}_conv"] = MPConv(channels, width, 3)
                channels = width
            else:
                self.enc[f"{name}_down"] = Block(net, "enc", channels, channels, embedding, "down")
            skips.append(channels)
            for index in range(blocks):
                attention = (size >> level) in net["attnResolutions"]
                self.enc[f"{name}_block{index}"] = Block(net, "enc", channels, width, embedding, "keep", attention)
                channels = width
                skips.append(channels)
        for level, width in reversed(list(enumerate(widths))):
            name = f"{size >> level}x{size >> level}"
            if level == len(widths) - 1:
                self.dec[f"{name}_in0"] = Block(net, "dec", channels, channels, embedding, "keep", True)
                self.dec[f"{name}_in1"] = Block(net, "dec", channels, channels, embedding)
            else:
                self.dec[f"{name}_up"] = Block(net, "dec", channels, channels, embedding, "up")
            for index in range(blocks + 1):
                attention = (size >> level) in net["attnResolutions"]
                inputs = channels + skips.pop()
                self.dec[f"{name}_block{index}"] = Block(net, "dec", inputs, width, embedding, "keep", attention)
                channels = width
        self.out_conv = MPConv(channels, net["imageChannels"], 3)

    def forward(self, x: torch.Tensor, noise_labels: torch.Tensor, labels: Optional[torch.Tensor]) -> torch.Tensor:
        embedding = self.emb_noise(self.emb_fourier(noise_labels))
        if self.emb_label is not None:
            scaled = labels * math.sqrt(labels.shape[1])
            embedding = mp_sum(embedding, self.emb_label(scaled), self.net["labelBalance"])
        embedding = mp_silu(embedding)
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        skips = []
        for module in self.enc.values():
            x = module(x, embedding) if isinstance(module, Block) else module(x)
            skips.append(x)
        for name, block in self.dec.items():
            if "block" in name:
                x = mp_cat(x, skips.pop(), self.net["concatBalance"])
            x = block(x, embedding)
        return self.out_conv(x, self.out_gain)


class Denoiser(nn.Module):
    """The preconditioned network and its loss head."""

    def __init__(self, network: dict):
        super().__init__()
        self.sigma_data = network["sigmaData"]
        self.unet = UNet(network["unet"])
        self.logvar_fourier = MPFourier(network["logvarChannels"])
        self.logvar_linear = MPConv(network["logvarChannels"], 1)

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, labels: Optional[torch.Tensor]) -> torch.Tensor:
        """D(x; sigma): x [N, C, H, W], sigma [N], labels [N, classes]."""
        s = self.sigma_data
        per_image = sigma.reshape(-1, 1, 1, 1)
        total = per_image**2 + s**2
        raw = self.unet(x / total.sqrt(), sigma.log() / 4, labels)
        return x * (s**2 / total) + raw * (per_image * s / total.sqrt())

    def logvar(self, sigma: torch.Tensor) -> torch.Tensor:
        return self.logvar_linear(self.logvar_fourier(sigma.log() / 4)).reshape(-1, 1, 1, 1)
