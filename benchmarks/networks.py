"""Networks with weights drawn at random, and the paper's settings, for benchmarks."""

from __future__ import annotations

import torch

from hooknet.models.network import Network
from hooknet.models.table import build_model
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.mrn import MRNSettings

PAPER = (0.5, 8.0)
CLASSES = 6


def paper_network(filters: int, model: str = "hooknet", spacings: tuple[float, ...] = PAPER) -> Network:
    """HookNet(0.5, 8.0) of the paper (λ = 0.75), or another, with statistics of a network that has seen something."""
    torch.manual_seed(0)
    if model == "mrn":
        settings: HookNetSettings | MRNSettings = MRNSettings(
            spacings=spacings, classes=CLASSES, filters=filters, patch_size=256
        )
    else:
        weights = (0.75, 0.25) if len(spacings) == 2 else None
        settings = HookNetSettings(
            spacings=spacings, classes=CLASSES, filters=filters, patch_size=284, loss_weights=weights
        )
    network = build_model(model, settings)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
    return network.eval()
