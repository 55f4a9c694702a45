"""A second implementation of the network in plain numpy, one pixel offset at a time, to test the first by."""

from __future__ import annotations

import numpy as np


def convolve(x, weight, bias):
    """Valid convolution: (B, C, H, W), (O, C, k, k), (O,) -> (B, O, H - k + 1, W - k + 1)."""
    kernel = weight.shape[-1]
    height, width = x.shape[2] - kernel + 1, x.shape[3] - kernel + 1
    out = np.zeros((x.shape[0], weight.shape[0], height, width)) + bias[None, :, None, None]
    for row in range(kernel):
        for column in range(kernel):
            seen = x[:, :, row : row + height, column : column + width]
            out += np.einsum("bchw,oc->bohw", seen, weight[:, :, row, column])
    return out


def crop(x, size):
    start = (x.shape[-1] - size) // 2
    assert 2 * start + size == x.shape[-1]
    return x[:, :, start : start + size, start : start + size]


class NumpyNetwork:
    """``hooks``: (source, source depth, target, target depth); ``state``: name -> array."""

    def __init__(self, state, names, depth, convolutions, hooks, **options):
        self.state, self.names, self.depth, self.convolutions = state, names, depth, convolutions
        self.hooks, self.options = hooks, options

    def activation(self, x):
        return np.where(x > 0, x, x * (0.1 if self.options["activation"] == "leaky_relu" else 0.0))

    def layer(self, x, name):
        weight = self.state[f"{name}.weight"]
        return convolve(x, weight, self.state.get(f"{name}.bias", np.zeros(len(weight))))

    def normalise(self, x, name):
        if self.options["training"]:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        else:
            mean, variance = self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"]
        scale = self.state[f"{name}.weight"] / np.sqrt(variance + 1e-3)
        shift = self.state[f"{name}.bias"] - mean * scale
        return x * scale[None, :, None, None] + shift[None, :, None, None]

    def block(self, x, place):
        for i in range(self.convolutions):
            x = self.activation(self.layer(x, f"{place}.conv{i}"))
            if self.options["batch_norm"]:
                x = self.normalise(x, f"{place}.bn{i}")
        return x

    def merged(self, x, branch, depth, maps):
        entering = [hook for hook in self.hooks if hook[2] == branch]
        for number, (source, source_depth, _, target_depth) in enumerate(entering):
            if target_depth != depth:
                continue
            if self.options["merge"] == "attention":
                x = self.attended(maps[source, source_depth], x, f"{self.names[branch]}.hook{number or ''}")
                continue
            hook = crop(maps[source, source_depth], x.shape[-1])
            if self.options["merge"] == "concat":
                x = np.concatenate([hook, x], axis=1)
                continue
            hook = self.activation(self.layer(hook, f"{self.names[branch]}.hook{number or ''}.proj"))
            x = {"add": hook + x, "subtract": hook - x, "multiply": hook * x}[self.options["merge"]]
        return x

    def attended(self, hook, x, name):
        """What each px finds in the window about itself, px by px and head by head, added to it."""
        place = self.state[f"{name}.place"]
        heads, side = place.shape[0], round(place.shape[1] ** 0.5)
        reach, size = side // 2, x.shape[-1]
        query, key, value = (
            self.layer(one, f"{name}.{part}") for one, part in ((x, "query"), (hook, "key"), (hook, "value"))
        )
        found, margin, width = np.zeros_like(query), (hook.shape[-1] - size) // 2, query.shape[1] // heads
        for row in range(size):
            for column in range(size):
                rows, columns = (slice(margin + at - reach, margin + at + reach + 1) for at in (row, column))
                for head in range(heads):
                    own = slice(head * width, (head + 1) * width)
                    seen = [one[:, own, rows, columns].reshape(len(x), width, -1) for one in (key, value)]
                    alike = (
                        np.einsum("bc,bcn->bn", query[:, own, row, column], seen[0]) / width**0.5
                        + place[head]
                    )
                    shares = np.exp(alike - alike.max(1, keepdims=True))
                    shares /= shares.sum(1, keepdims=True)
                    found[:, own, row, column] = np.einsum("bn,bcn->bc", shares, seen[1])
        return x + self.layer(found, f"{name}.out")

    def __call__(self, patches):
        """Logits by branch, for those with an output layer."""
        maps, logits = {}, {}
        for branch in reversed(range(len(patches))):
            name, x, skips = self.names[branch], patches[branch], []
            for depth in range(self.depth):
                x = self.block(x, f"{name}.enc{depth}")
                skips.append(x)
                b, c, h, w = x.shape
                x = x.reshape(b, c, h // 2, 2, w // 2, 2).max((3, 5))
            x = self.merged(self.block(x, f"{name}.mid"), branch, self.depth, maps)
            for depth in reversed(range(self.depth)):
                if f"{name}.dec{depth}.up.weight" not in self.state:
                    break
                x = self.activation(self.layer(x.repeat(2, 2).repeat(2, 3), f"{name}.dec{depth}.up"))
                x = self.block(np.concatenate([crop(skips[depth], x.shape[-1]), x], 1), f"{name}.dec{depth}")
                x = maps[branch, depth] = self.merged(x, branch, depth, maps)
            if f"{name}.out.weight" in self.state:
                logits[branch] = self.layer(x, f"{name}.out")
        return logits


def doubled_bilinear(x, factor):
    """Each axis ``factor`` times as long, linear between pixel centres, edges repeated."""
    for axis in (2, 3):
        size = x.shape[axis]
        places = (np.arange(size * factor) + 0.5) / factor - 0.5
        low = np.floor(places).astype(int)
        share = (places - low).reshape([-1 if a == axis else 1 for a in range(4)])
        first, second = (np.take(x, np.clip(low + step, 0, size - 1), axis) for step in (0, 1))
        x = first * (1 - share) + second * share
    return x


class NumpyMRN(NumpyNetwork):
    """Padded convolutions; contexts enlarged by their ratio, cut to the middle, joined at every depth."""

    def layer(self, x, name):
        rim = self.state[f"{name}.weight"].shape[-1] // 2
        return super().layer(np.pad(x, ((0, 0), (0, 0), (rim, rim), (rim, rim))), name)

    def encode(self, x, name):
        maps = []
        for depth in range(self.depth + 1):
            if depth:
                b, c, h, w = x.shape
                x = x.reshape(b, c, h // 2, 2, w // 2, 2).max((3, 5))
            x = self.block(x, f"{name}.{'mid' if depth == self.depth else f'enc{depth}'}")
            maps.append(x)
        return maps

    def __call__(self, patches, ratios):
        """Logits of the target; ``ratios`` of the contexts' spacings to the target's, whole numbers."""
        maps = [self.encode(patch, name) for patch, name in zip(patches, self.names, strict=False)]
        joined = [
            np.concatenate(
                [
                    own,
                    *(
                        crop(doubled_bilinear(one, r), own.shape[-1])
                        for one, r in zip(others, ratios, strict=True)
                    ),
                ],
                axis=1,
            )
            for own, *others in zip(*maps, strict=True)
        ]
        x = joined[-1]
        for depth in reversed(range(self.depth)):
            x = self.activation(self.layer(x.repeat(2, 2).repeat(2, 3), f"target.dec{depth}.up"))
            x = self.block(np.concatenate([joined[depth], x], axis=1), f"target.dec{depth}")
        return self.layer(x, "target.out")
