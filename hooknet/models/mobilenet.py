"""MobileNetV2 without its top (Sandler et al. 2018), width 1, as Keras or as torchvision has it."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from hooknet.shapes.backbones import FEATURES, inverted_residuals
from hooknet.shapes.classifier import Layout

EPSILON: Final[dict[str, float]] = {"keras": 1e-3, "torchvision": 1e-5}


class Same(nn.Conv2d):
    """A 3x3 convolution without bias that keeps the size, or halves it with a stride of 2.

    In the layout of Keras a stride of 2 pads an even map at the right and below only, an odd one all around; in
    that of torchvision all around always.  So the two see places half a pixel of the input apart.
    """

    def __init__(self, incoming: int, outgoing: int, stride: int, layout: Layout, groups: int = 1) -> None:
        super().__init__(incoming, outgoing, 3, stride, groups=groups, bias=False)
        self._uneven = layout == "keras" and stride == 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, incoming, h, w) -> (B, outgoing, h / stride, w / stride), rounded up."""
        if not self._uneven:
            return functional.conv2d(x, self.weight, None, self.stride, 1, 1, self.groups)
        left, top = (1 if x.shape[axis] % 2 else 0 for axis in (-1, -2))
        return super().forward(functional.pad(x, (left, 1, top, 1)))


class InvertedResidual(nn.Module):
    """1x1 to a wider map, 3x3 within each channel, 1x1 to a narrow map without activation; added where it fits."""

    def __init__(self, incoming: int, expansion: int, outgoing: int, stride: int, layout: Layout) -> None:
        super().__init__()
        wide, epsilon = incoming * expansion, EPSILON[layout]
        if expansion > 1:
            self.expand = nn.Conv2d(incoming, wide, 1, bias=False)
            self.expand_norm = nn.BatchNorm2d(wide, epsilon)
        self.depthwise = Same(wide, wide, stride, layout, groups=wide)
        self.depthwise_norm = nn.BatchNorm2d(wide, epsilon)
        self.project = nn.Conv2d(wide, outgoing, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(outgoing, epsilon)
        self._expands = expansion > 1
        self._adds = stride == 1 and incoming == outgoing

    def forward(self, x: Tensor) -> Tensor:
        """(B, incoming, h, w) -> (B, outgoing, h / stride, w / stride), rounded up."""
        wide = functional.relu6(self.expand_norm(self.expand(x))) if self._expands else x
        wide = functional.relu6(self.depthwise_norm(self.depthwise(wide)))
        narrow: Tensor = self.project_norm(self.project(wide))
        return x + narrow if self._adds else narrow


class MobileNetV2(nn.Module):
    """The backbone: patches in, features out."""

    def __init__(self, layout: Layout = "keras") -> None:
        """Weights are drawn by torch's generator (He, which suits what ReLU halves)."""
        super().__init__()
        epsilon, last, channels = EPSILON[layout], 320, FEATURES["mobilenetv2"]
        self.stem = Same(3, 32, 2, layout)
        self.stem_norm = nn.BatchNorm2d(32, epsilon)
        self.blocks = nn.ModuleList(InvertedResidual(*one, layout) for one in inverted_residuals())
        self.head = nn.Conv2d(last, channels, 1, bias=False)
        self.head_norm = nn.BatchNorm2d(channels, epsilon)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, patches: Tensor) -> Tensor:
        """(B, 3, S, S) of 0..1 -> (B, 1280, S / 32, S / 32), rounded up."""
        x = functional.relu6(self.stem_norm(self.stem(patches)))
        for block in self.blocks:
            x = block(x)
        return functional.relu6(self.head_norm(self.head(x)))
