"""U-Nets on concentric patches, the coarser hooked into the finer; one branch alone is a U-Net.

The arithmetic that makes hooks line up is in :mod:`hooknet.shapes`; the parts are in
:mod:`hooknet.models.blocks`.  Source: van Rijthoven et al. 2021, section 3, in the widths and the order of
layers of the official code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.attention import CrossAttention
from hooknet.models.blocks import Block, Merge, Style, UpBlock, glorot_uniform
from hooknet.models.network import Network
from hooknet.shapes.hooknet import HookNetSettings, HookNetShape
from hooknet.shapes.hooks import Hook, branch_name


class Branch(nn.ModuleDict):
    """A U-Net that takes hooks at its bottleneck or in its decoder, built as far up as anything uses it."""

    def __init__(self, shape: HookNetShape, branch: int) -> None:
        super().__init__()
        of, style = shape.settings, self._style(shape.settings)
        self.depth = of.depth
        self.finest = of.finest_depths[branch]
        self.given = {hook.source_depth for hook in of.all_hooks if hook.source == branch}
        self.hooks: dict[int, list[tuple[Hook, str]]] = {}  # depth -> what enters there, and its merge
        self._add_encoder(of, style)
        self._add_merges(shape, branch, of.depth)
        for depth in reversed(range(self.finest, of.depth)):
            below = shape.map_width(branch, depth + 1)
            self[f"dec{depth}"] = UpBlock(below, of.block_width(depth), style, shape.skip_width(depth))
            self._add_merges(shape, branch, depth)
        if branch in shape.output_branches:
            self["out"] = glorot_uniform(nn.Conv2d(shape.map_width(branch, 0), of.classes, 1))

    def _style(self, of: HookNetSettings) -> Style:
        return Style(of.convolutions, of.activation, of.batch_norm)

    def _add_encoder(self, of: HookNetSettings, style: Style) -> None:
        incoming = of.channels
        for depth in range(of.depth):
            self[f"enc{depth}"] = Block(incoming, of.block_width(depth), style)
            incoming = of.block_width(depth)
        self["mid"] = Block(incoming, of.block_width(of.depth), style)

    def _add_merges(self, shape: HookNetShape, branch: int, depth: int) -> None:
        of = shape.settings
        self.hooks[depth] = [(hook, shape.hook_name(hook)) for hook in shape.hooks_into(branch, depth)]
        for hook, name in self.hooks[depth]:
            hooked, width = shape.map_width(hook.source, hook.source_depth), of.block_width(depth)
            self[name] = (
                CrossAttention(hooked, width, shape.attention(hook))
                if of.merge == "attention"
                else Merge(of.merge, hooked, width, of.activation)
            )

    def forward(
        self, x: Tensor, maps: Mapping[tuple[int, int], Tensor], finest: int | None = None
    ) -> tuple[dict[int, Tensor], Tensor | None]:
        """(B, C, M, M) and maps of coarser branches by (branch, depth) -> own maps that hooks take, by depth.

        And the logits, None for a branch without loss.  ``finest``: the decoder depth to stop at, None for all
        that is built; logits come from depth 0 only.
        """
        skips, x = self._encode(x)
        x = self._merge(x, self.depth, maps)
        own = {}
        last = self.finest if finest is None else finest
        for depth in reversed(range(last, self.depth)):
            x = self._merge(self[f"dec{depth}"](x, skips.pop()), depth, maps)
            if depth in self.given:  # others are let go: at large tiles they weigh more than the network
                own[depth] = x
        return own, self["out"](x) if last == 0 and "out" in self else None

    def _encode(self, x: Tensor) -> tuple[list[Tensor | None], Tensor]:
        """The maps that are skipped over, one a depth, and that of the bottleneck."""
        skips: list[Tensor | None] = []
        for depth in range(self.depth):
            x = self[f"enc{depth}"](x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        return skips, self["mid"](x)

    def _merge(self, x: Tensor, depth: int, maps: Mapping[tuple[int, int], Tensor]) -> Tensor:
        for hook, name in self.hooks[depth]:
            x = self[name](maps[hook.source, hook.source_depth], x)
        return x


class HookNet(Network):
    """One branch per spacing, finest first; spacings (0.5, 8.0) make the HookNet(0.5, 8.0) of the paper."""

    settings: HookNetSettings

    def __init__(self, settings: HookNetSettings) -> None:
        super().__init__(settings)
        # The official code makes its layers coarsest branch first; so do we, for equal order of parameters.
        for branch in reversed(range(len(settings.spacings))):
            self[branch_name(branch)] = self._branch(branch)
        self._set_momentum(settings.batch_norm_momentum)

    def _branch(self, branch: int) -> Branch:
        return Branch(self.settings.shape, branch)

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """Concentric patches (B, C, M, M) of 0..1, target first -> logits (B, K, m, m) per output branch."""
        self._check(patches)
        maps: dict[tuple[int, int], Tensor] = {}
        logits = []
        for branch in reversed(range(len(patches))):  # from the widest view to the closest
            own, predicted = self[branch_name(branch)](patches[branch], maps)
            maps |= {(branch, depth): features for depth, features in own.items()}
            if predicted is not None:
                logits.append(predicted)
        return logits[::-1]

    def target_logits(self, patches: Sequence[Tensor]) -> Tensor:
        """Concentric views (B, C, M, M), each of its own size, target first -> the target's logits (B, K, m, m)."""
        self._check_views(patches)
        maps: dict[tuple[int, int], Tensor] = {}
        for branch in reversed(range(1, len(patches))):
            own, _ = self[branch_name(branch)](
                patches[branch], maps, self.settings.shape.needed_depth(branch)
            )
            maps |= {(branch, depth): features for depth, features in own.items()}
        _, logits = self[branch_name(0)](patches[0], maps)
        return cast(Tensor, logits)
