"""What computes a tile: torch on the device that is there, or OpenVINO on a processor.

All take views as they are read and give class values; which one is used, and in which precision, shows in speed only
(see :mod:`hooknet.inference.agreement`).
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hooknet.config.experiment import Precision
from hooknet.inference.memory import noticing_out_of_memory
from hooknet.models.gpus import rounding_to_tf32
from hooknet.models.network import Network
from hooknet.shapes.tiles import Tile

Views = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True)
class Predicted:
    """What is kept of a tile, ``stride`` px a side: class values 1..K.

    ``logits`` (K, stride, stride) float32, None unless asked for; ``shares``: probabilities as bytes 0..255 of
    that shape, None unless the engine was made for them.
    """

    labels: NDArray[np.uint8]
    shares: NDArray[np.uint8] | None = None
    logits: NDArray[np.float32] | None = None


@contextlib.contextmanager
def computing_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Let torch compute in a precision; bf16 by autocast."""
    with (
        rounding_to_tf32(precision == "tf32"),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        yield


class TileNetwork(nn.Module):
    """A network from views as they are read to what is kept of a tile."""

    def __init__(self, network: Network, tile: Tile, shares: bool) -> None:
        """``shares``: whether probabilities are wanted."""
        super().__init__()
        self.network = network
        self._stride = tile.stride
        self._shares = shares

    def forward(self, *views: Tensor) -> tuple[Tensor, ...]:
        """Views (M, M, C) uint8, target first -> labels, logits and (where wanted) shares of :class:`Predicted`."""
        patches = [
            (view.permute(2, 0, 1)[None].float() / 255).contiguous(memory_format=torch.channels_last)
            for view in views
        ]
        logits = self.network.target_logits(patches)[0].float()  # (K, m, m)
        margin = (logits.shape[-1] - self._stride) // 2
        kept = logits[:, margin : margin + self._stride, margin : margin + self._stride]
        labels = kept.argmax(dim=0).to(torch.uint8) + 1
        if not self._shares:
            return labels, kept
        return labels, kept, (kept.softmax(dim=0) * 255).round().to(torch.uint8)


class Engine(ABC):
    """Computes tiles of one size.  ``name`` and ``precision`` say how; ``tile`` what."""

    def __init__(self, name: str, precision: Precision, tile: Tile) -> None:
        self.name = name
        self.precision = precision
        self.tile = tile

    @abstractmethod
    def start(self, views: Views, logits: bool = False) -> Callable[[], Predicted]:
        """Begin a tile; what comes back waits for its end and gives it, with its logits if they are asked for.

        ``views``: (M, M, C) uint8 of the tile's sizes, target first.  OutOfMemory from either call.
        """


class TorchEngine(Engine):
    """Torch on the network's device."""

    def __init__(self, network: Network, tile: Tile, shares: bool, precision: Precision) -> None:
        """``shares``: whether probabilities are wanted."""
        self._device = next(network.parameters()).device
        super().__init__(f"torch on {self._device.type}", precision, tile)
        self._model = TileNetwork(network, tile, shares).eval()

    def start(self, views: Views, logits: bool = False) -> Callable[[], Predicted]:
        """Begin a tile; on a GPU this does not wait."""
        with noticing_out_of_memory():
            found = self._run(views)

        def result() -> Predicted:
            with noticing_out_of_memory():
                labels, scores, *shares = found
                return Predicted(
                    labels.cpu().numpy(),
                    shares[0].cpu().numpy() if shares else None,
                    scores.cpu().numpy() if logits else None,
                )

        return result

    @torch.inference_mode()
    def _run(self, views: Views) -> tuple[Tensor, ...]:
        inputs = [torch.from_numpy(view).to(self._device) for view in views]
        with computing_in(self.precision, self._device):
            found: tuple[Tensor, ...] = self._model(*inputs)
        return found
