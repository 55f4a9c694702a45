"""MobileNetV2 and InceptionV3 written down a second time, as Keras and as torchvision call their layers.

Each function draws the tensors of a file by the names of its program, and gives with them what the network makes
of a patch, in float64.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

# Channels in the wide and in the narrow map, stride, of the 17 blocks.
BLOCKS = (
    [(32, 16, 1), (96, 24, 2), (144, 24, 1), (144, 32, 2), (192, 32, 1), (192, 32, 1), (192, 64, 2)]
    + [(384, 64, 1)] * 3
    + [(384, 96, 1), (576, 96, 1), (576, 96, 1), (576, 160, 2), (960, 160, 1), (960, 160, 1), (960, 320, 1)]
)


class Drawn:
    """Tensors by name, drawn when a layer is first run; ``keras`` sets their names, shapes and padding."""

    def __init__(self, keras, epsilon, gamma=True, seed=0):
        self.arrays = {}
        self.keras, self.epsilon, self.gamma = keras, epsilon, gamma
        self.rng = np.random.default_rng(seed)

    def _vector(self, name, size, low, high):
        self.arrays[name] = self.rng.uniform(low, high, size).astype(np.float32)
        return torch.from_numpy(self.arrays[name]).double()[:, None, None]

    def norm(self, x, name):
        at, size = f"{name}/" if self.keras else f"{name}.", x.shape[1]
        gamma, beta, mean, variance = (
            ("gamma", "beta", "moving_mean", "moving_variance")
            if self.keras
            else ("weight", "bias", "running_mean", "running_var")
        )
        scale = self._vector(at + gamma, size, 0.8, 1.2) if self.gamma else 1
        shift = self._vector(at + beta, size, -0.2, 0.2)
        centred = x - self._vector(at + mean, size, -0.2, 0.2)
        return (
            centred / torch.sqrt(self._vector(at + variance, size, 0.5, 1.5) + self.epsilon) * scale + shift
        )

    def convolve(self, x, name, outgoing, kernel=(1, 1), stride=1, padding="same", depthwise=False):
        incoming = x.shape[1]
        fan_in = math.prod(kernel) * (1 if depthwise else incoming)
        shape = (outgoing, 1 if depthwise else incoming, *kernel)
        weight = self.rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)
        if self.keras:
            part = "depthwise_kernel" if depthwise else "kernel"
            self.arrays[f"{name}/{part}"] = weight.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        else:
            self.arrays[f"{name}.weight"] = weight
        if padding == "same":
            x = functional.pad(
                x,
                [*self._around(x.shape[3], kernel[1], stride), *self._around(x.shape[2], kernel[0], stride)],
            )
        groups = incoming if depthwise else 1
        return functional.conv2d(x, torch.from_numpy(weight).double(), None, stride, 0, 1, groups)

    def _around(self, size, kernel, stride):
        """TensorFlow's rule for ``same``; torch has half the kernel on either side."""
        if not self.keras:
            return kernel // 2, kernel // 2
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2


def mobilenet(patches, keras):
    """(tensors by name, features)."""
    drawn = Drawn(keras, 1e-3 if keras else 1e-5)

    def layer(x, names, *args, bounded=True, **options):
        x = drawn.norm(drawn.convolve(x, names[0], *args, **options), names[1])
        return x.clamp(0, 6) if bounded else x

    x = layer(patches, ("Conv1", "bn_Conv1") if keras else ("features.0.0", "features.0.1"), 32, (3, 3), 2)
    for number, (wide, narrow, stride) in enumerate(BLOCKS):
        before = x
        parts = ["expand", "depthwise", "project"][number == 0 :]
        block = f"block_{number}" if number else "expanded_conv"
        names = {part: (f"{block}_{part}", f"{block}_{part}_BN") for part in parts}
        if not keras:
            at = f"features.{number + 1}.conv"
            places = [f"{at}.0.0", f"{at}.0.1", f"{at}.1.0", f"{at}.1.1", f"{at}.2", f"{at}.3"]
            if number == 0:
                places = [f"{at}.0.0", f"{at}.0.1", f"{at}.1", f"{at}.2"]
            names = dict(zip(parts, zip(places[::2], places[1::2], strict=True), strict=True))
        if number:
            x = layer(x, names["expand"], wide)
        x = layer(x, names["depthwise"], wide, (3, 3), stride, depthwise=True)
        x = layer(x, names["project"], narrow, bounded=False)
        if stride == 1 and before.shape == x.shape:
            x = x + before
    x = layer(x, ("Conv_1", "Conv_1_bn") if keras else ("features.18.0", "features.18.1"), 1280)
    return drawn.arrays, x


def inception(patches, keras, start=(0, 0)):
    """(tensors by name, features); ``start``: first numbers of Keras's convolutions and normalisations."""
    drawn = Drawn(keras, 1e-3, gamma=not keras)
    count = 0

    def layer(x, name, outgoing, high=1, wide=1, stride=1, padding="same"):
        nonlocal count
        names = f"{name}.conv", f"{name}.bn"
        if keras:
            numbered = zip(("conv2d", "batch_normalization"), start, strict=True)
            names = [f"{kind}_{first + count}" if first + count else kind for kind, first in numbered]
        count += 1
        x = drawn.convolve(x, names[0], outgoing, (high, wide), stride, padding)
        return drawn.norm(x, names[1]).relu()

    def average(x):
        ones = torch.ones_like(x)
        sums, places = (9 * functional.avg_pool2d(functional.pad(one, [1] * 4), 3, 1) for one in (x, ones))
        return sums / (places if keras else 9)

    def largest(x):
        return functional.max_pool2d(x, 3, 2)

    x = layer(patches, "Conv2d_1a_3x3", 32, 3, 3, 2, "valid")
    x = layer(x, "Conv2d_2a_3x3", 32, 3, 3, 1, "valid")
    x = largest(layer(x, "Conv2d_2b_3x3", 64, 3, 3))
    x = layer(x, "Conv2d_3b_1x1", 80)
    x = largest(layer(x, "Conv2d_4a_3x3", 192, 3, 3, 1, "valid"))
    for block, pooled in (("5b", 32), ("5c", 64), ("5d", 64)):
        at = f"Mixed_{block}.branch"
        one = layer(x, f"{at}1x1", 64)
        five = layer(layer(x, f"{at}5x5_1", 48), f"{at}5x5_2", 64, 5, 5)
        twice = layer(layer(x, f"{at}3x3dbl_1", 64), f"{at}3x3dbl_2", 96, 3, 3)
        twice = layer(twice, f"{at}3x3dbl_3", 96, 3, 3)
        x = torch.cat([one, five, twice, layer(average(x), f"{at}_pool", pooled)], 1)
    at = "Mixed_6a.branch"
    three = layer(x, f"{at}3x3", 384, 3, 3, 2, "valid")
    twice = layer(layer(x, f"{at}3x3dbl_1", 64), f"{at}3x3dbl_2", 96, 3, 3)
    twice = layer(twice, f"{at}3x3dbl_3", 96, 3, 3, 2, "valid")
    x = torch.cat([three, twice, largest(x)], 1)
    for block, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        at = f"Mixed_{block}.branch"
        one = layer(x, f"{at}1x1", 192)
        seven = layer(layer(x, f"{at}7x7_1", width), f"{at}7x7_2", width, 1, 7)
        seven = layer(seven, f"{at}7x7_3", 192, 7, 1)
        twice = layer(layer(x, f"{at}7x7dbl_1", width), f"{at}7x7dbl_2", width, 7, 1)
        twice = layer(layer(twice, f"{at}7x7dbl_3", width, 1, 7), f"{at}7x7dbl_4", width, 7, 1)
        twice = layer(twice, f"{at}7x7dbl_5", 192, 1, 7)
        x = torch.cat([one, seven, twice, layer(average(x), f"{at}_pool", 192)], 1)
    at = "Mixed_7a.branch"
    three = layer(layer(x, f"{at}3x3_1", 192), f"{at}3x3_2", 320, 3, 3, 2, "valid")
    seven = layer(layer(x, f"{at}7x7x3_1", 192), f"{at}7x7x3_2", 192, 1, 7)
    seven = layer(layer(seven, f"{at}7x7x3_3", 192, 7, 1), f"{at}7x7x3_4", 192, 3, 3, 2, "valid")
    x = torch.cat([three, seven, largest(x)], 1)
    for block in ("7b", "7c"):
        at = f"Mixed_{block}.branch"
        one = layer(x, f"{at}1x1", 320)
        three = layer(x, f"{at}3x3_1", 384)
        three = [layer(three, f"{at}3x3_2a", 384, 1, 3), layer(three, f"{at}3x3_2b", 384, 3, 1)]
        twice = layer(layer(x, f"{at}3x3dbl_1", 448), f"{at}3x3dbl_2", 384, 3, 3)
        twice = [layer(twice, f"{at}3x3dbl_3a", 384, 1, 3), layer(twice, f"{at}3x3dbl_3b", 384, 3, 1)]
        x = torch.cat([one, *three, *twice, layer(average(x), f"{at}_pool", 192)], 1)
    return drawn.arrays, x
