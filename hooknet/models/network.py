"""What every network that predicts a class per pixel offers to training and inference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from hooknet.errors import ShapeError
from hooknet.models.blocks import Convolutions
from hooknet.shapes.unet import UNetSettings


class Network(nn.ModuleDict):
    """Concentric patches in, logits out.

    ``patch_spec``: the patches it was made for.  ``output_branches``: which branches give logits, the target
    first.
    """

    def __init__(self, settings: UNetSettings) -> None:
        super().__init__()
        self.settings = settings
        self.shape = settings.shape
        self.patch_spec = self.shape.patch_spec
        self.output_branches = self.shape.output_branches

    @abstractmethod
    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """Concentric patches (B, 3, M, M) of 0..1, target first -> logits (B, K, m, m) per output branch.

        M may be any legal size, the same for all.  ShapeError for others.
        """

    def regularised_kernels(self) -> Iterator[nn.Parameter]:
        """The kernels under weight decay: those of blocks and up-convolutions, as in the official code."""
        for module in self.modules():
            if isinstance(module, Convolutions):
                yield from (parameter for parameter in module.parameters() if parameter.ndim == 4)

    def _set_momentum(self) -> None:
        """Give the built batch normalisations the momentum of the settings."""
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1 - self.settings.batch_norm_momentum  # torch counts from the other end

    def _check(self, patches: Sequence[Tensor]) -> None:
        found = [tuple(patch.shape[1:]) for patch in patches]
        wanted = len(self.settings.spacings)
        size = found[0][-1] if found and found[0] else 0
        if found != [(3, size, size)] * wanted:
            raise ShapeError(
                f"patches of shape {found}; give {wanted} square ones of 3 channels, all of one size, target first"
            )
        self.shape.output_size(size)  # raises for a size that a pooling or a crop would misalign
