"""What every network that predicts a class per pixel offers to training and inference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from hooknet.errors import ShapeError
from hooknet.models.blocks import Convolutions
from hooknet.shapes.dense import DenseNetwork


@dataclass(frozen=True, eq=False)
class Points:
    """Predictions at points of the target's output.

    ``places`` (B, N, 2): (x, y) as shares of the output's sides, px corners at 0 and 1.  ``logits`` (B, K, N).
    """

    places: Tensor
    logits: Tensor


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network gives its losses.

    ``logits`` (B, K, m, m) per output branch, target first.  ``deep``: further logits of the target, each with the
    share that its loss has (deep supervision).  ``points``: predictions at single points of the target, if any.
    """

    logits: list[Tensor]
    deep: tuple[tuple[float, Tensor], ...] = ()
    points: Points | None = None


class Network(nn.ModuleDict):
    """Concentric patches in, logits out.

    ``patch_spec``: the patches it was made for.  ``output_branches``: which branches give logits, the target
    first.
    """

    def __init__(self, settings: DenseNetwork) -> None:
        super().__init__()
        self.settings = settings
        self.shape = settings.shape
        self.patch_spec = self.shape.patch_spec
        self.output_branches = self.shape.output_branches

    @abstractmethod
    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """Concentric patches (B, C, M, M) of 0..1, target first -> logits (B, K, m, m) per output branch.

        M may be any legal size, the same for all.  ShapeError for others.
        """

    @abstractmethod
    def target_logits(self, patches: Sequence[Tensor]) -> Tensor:
        """Concentric views (B, C, M, M) of 0..1, target first, each of its own size -> target's logits (B, K, m, m).

        For inference: the sizes are those of ``shape.view_sizes`` or larger ones of equal pooling grids, and what
        the target does not need is not computed.  The logits are those of :meth:`forward`, to rounding, away from
        rims that padding shows in.  ShapeError for views that are too small.
        """

    def outputs(self, patches: Sequence[Tensor]) -> Outputs:
        """As :meth:`forward`, with all else that losses look at."""
        return Outputs(self.forward(patches))

    def regularised_kernels(self) -> Iterator[nn.Parameter]:
        """The kernels under weight decay: those of blocks and up-convolutions, as in the official code."""
        for module in self.modules():
            if isinstance(module, Convolutions):
                yield from (parameter for parameter in module.parameters() if parameter.ndim == 4)

    def _set_momentum(self, momentum: float) -> None:
        """Give the built batch normalisations a momentum, as Keras counts it."""
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1 - momentum  # torch counts from the other end

    def _check_views(self, patches: Sequence[Tensor]) -> None:
        """ShapeError unless there is a large enough view for each spacing."""
        found = tuple(int(patch.shape[-1]) for patch in patches)
        wanted = self.shape.view_sizes(found[0]) if found else ()
        if len(found) != len(wanted) or any(one < least for one, least in zip(found, wanted, strict=True)):
            raise ShapeError(
                f"views of {found} px; give one for each spacing, of {wanted} px or more, target first"
            )
        for size in found:
            self.shape.output_size(size)  # raises for a size that a pooling or a crop would misalign

    def _check(self, patches: Sequence[Tensor]) -> None:
        found = [tuple(patch.shape[1:]) for patch in patches]
        wanted, channels = len(self.settings.spacings), self.settings.channels
        size = found[0][-1] if found and found[0] else 0
        if found != [(channels, size, size)] * wanted:
            raise ShapeError(
                f"patches of shape {found}; give {wanted} square ones of {channels} channels, all of one size, "
                "target first"
            )
        self.shape.output_size(size)  # raises for a size that a pooling or a crop would misalign
