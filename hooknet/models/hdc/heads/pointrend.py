"""PointRend: the px that are least certain are classified anew, from features where they lie.

Source: Kirillov et al. 2020 (mode ``paper``), and the code of HDC-HRNet (mode ``repo``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, interpolate

from hooknet.models.network import Points
from hooknet.shapes.hdc_heads import POINT_LAYERS, PointOptions

#: Of the last layer's weights at the start, so that what is overwritten is undecided at first (Kirillov et al.).
_LAST_DEVIATION = 1e-3


class PointHead(nn.Module):
    """Logits at single points of a map, from fine features and coarse logits sampled there.

    Both are sampled bilinearly between px centres and joined; hidden layers with ReLU follow, three (``paper``)
    or two (``repo``), which see the coarse logits at their start alone.

    ``paper``: in training the head itself gives random points, for a loss of their own; ``refine`` is for inference.
    ``repo``: ``refine`` in training and inference; the losses of the map reach the points through it.

    Draws come from torch's global generator.  How many px of a map are refined is fixed, and so which are
    depends on what else is in the map: tiles of another size give another map.
    """

    def __init__(self, features: int, classes: int, options: PointOptions) -> None:
        """``features``: channels of the fine features; ``classes``: K, 1 or more."""
        super().__init__()
        self.options = options
        layers: list[nn.Module] = []
        incoming = features + classes
        for _ in range(POINT_LAYERS[options.mode]):
            layers += [_for_relu(nn.Conv1d(incoming, options.hidden, 1)), nn.ReLU(inplace=True)]
            incoming = options.hidden
        last = nn.Conv1d(incoming, classes, 1)
        nn.init.normal_(last.weight, std=_LAST_DEVIATION)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]  # it has one
        self.layers = nn.Sequential(*layers, last)

    def forward(self, coarse: Tensor, features: Tensor) -> Points:
        """Random points of logits (B, K, h, w), mostly where they are undecided, classified (paper, training).

        ``features`` (B, F, h', w') cover the same map.  ``oversample`` · ``points`` places are drawn evenly, of each
        image its own; those that are most uncertain make the ``important`` share, and places drawn anew the rest.
        """
        options = self.options
        like = _precise(coarse)
        with torch.no_grad():
            candidates = _random_places(options.oversample * options.points, like)
            best = uncertainty(sample(coarse, candidates)).topk(options.uncertain, dim=1).indices
            chosen = candidates.gather(1, best[..., None].expand(-1, -1, 2))
            places = torch.cat([chosen, _random_places(options.points - options.uncertain, like)], dim=1)
        return Points(places, self._classified(coarse, features, places))

    def refine(self, coarse: Tensor, features: Tensor, size: int) -> Tensor:
        """(B, K, h, w) and (B, F, h', w') -> (B, K, size, size), px that are not sure classified anew.

        ``paper``: the map is doubled, at most ``subdivisions`` times, and the ``inference_points`` most uncertain px
        are classified after each; in one step without doubling where it has its size already.  What is missing
        from ``size`` in the end is bilinear.  Px see the ``coarse`` logits, as in training, whichever step it is.
        ``repo``: the map is enlarged at once, and px of the lowest best probability are classified from its logits;
        in training ``points`` (or all), the ``important`` share of them the lowest and the rest any others, in
        evaluation the ``points`` lowest, but of a small map a quarter of its px at most.
        """
        return (self._overwritten if self.options.mode == "repo" else self._subdivided)(
            coarse, features, size
        )

    def _subdivided(self, coarse: Tensor, features: Tensor, size: int) -> Tensor:
        logits = coarse
        for _ in range(self.options.subdivisions):
            reached = (min(2 * logits.shape[-2], size), min(2 * logits.shape[-1], size))
            logits = _enlarged(logits, reached)
            count = min(self.options.inference_points, reached[0] * reached[1])
            chosen = uncertainty(logits).flatten(1).topk(count, dim=1).indices
            logits = self._replaced(logits, chosen, (coarse, features))
            if reached == (size, size):
                break
        return _enlarged(logits, (size, size))

    def _overwritten(self, coarse: Tensor, features: Tensor, size: int) -> Tensor:
        logits = _enlarged(coarse, (size, size))
        doubt = -_precise(logits).detach().softmax(dim=1).amax(dim=1).flatten(1)
        if not self.training:
            chosen = doubt.topk(min(self.options.points, doubt.shape[1] // 4), dim=1).indices
            return self._replaced(logits, chosen, (logits, features))
        count = min(self.options.points, doubt.shape[1])
        chosen = doubt.topk(int(self.options.important * count), dim=1).indices
        # Others, so that no px is replaced twice: its gradient would count twice.
        order = torch.rand_like(doubt).scatter(1, chosen, -1.0)
        others = order.topk(count - chosen.shape[1], dim=1).indices
        return self._replaced(logits, torch.cat([chosen, others], dim=1), (logits, features))

    def _replaced(self, logits: Tensor, chosen: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
        """Logits (B, K, H, W) with the px ``chosen`` (B, N), counted in rows, classified from what is ``seen``."""
        height, width = logits.shape[-2:]
        column, row = chosen % width, chosen // width
        centres = torch.stack([column, row], dim=-1).to(_precise(logits).dtype) + 0.5
        places = centres / centres.new_tensor([width, height])
        found = self._classified(*seen, places).to(logits.dtype)
        everywhere = chosen[:, None].expand(-1, logits.shape[1], -1)
        return logits.flatten(2).scatter(2, everywhere, found).reshape(logits.shape)

    def _classified(self, coarse: Tensor, features: Tensor, places: Tensor) -> Tensor:
        """Logits (B, K, N) at places (B, N, 2)."""
        joined = torch.cat([sample(features, places), sample(coarse, places)], dim=1)
        logits: Tensor = self.layers(joined.to(features.dtype))
        return logits


def sample(values: Tensor, places: Tensor) -> Tensor:
    """(B, C, h, w) at places (B, N, 2), (x, y) in 0..1 of the map -> (B, C, N), in single precision at least.

    Bilinear between px centres; beyond the outermost centres as there, which is what enlarging a map does too.
    """
    grid = (2 * places - 1)[:, :, None].to(_precise(values).dtype)
    found = grid_sample(_precise(values), grid, padding_mode="border", align_corners=False)
    return found[..., 0]


def uncertainty(logits: Tensor) -> Tensor:
    """(B, K, ...) -> (B, ...): the second best logit less the best, 0 where undecided; of one class -|logit|."""
    if logits.shape[1] == 1:
        return -logits[:, 0].abs()
    best = logits.topk(2, dim=1).values
    return best[:, 1] - best[:, 0]


def _enlarged(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, K, h, w) -> (B, K, *size), bilinear with px centres in their places; as it is where it has the size."""
    if logits.shape[-2:] == size:
        return logits
    return interpolate(logits, size=size, mode="bilinear", align_corners=False)


def _random_places(count: int, like: Tensor) -> Tensor:
    return torch.rand(like.shape[0], count, 2, dtype=like.dtype, device=like.device)


def _precise(values: Tensor) -> Tensor:
    """In single precision at least: half of it cannot tell the places of neighbours in a large map."""
    return values if values.dtype == torch.float64 else values.float()


def _for_relu(layer: nn.Conv1d) -> nn.Conv1d:
    """The same layer, weights drawn for the ReLU that follows, bias 0."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one
    return layer
