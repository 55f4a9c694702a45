"""Encoders for tests, named in settings as ``made_encoders:FUNCTION``; some of them misaligned on purpose."""

from __future__ import annotations

import sys

import torch
from torch import nn

RUN: list[str] = []


class Convolutions(nn.Module):
    """(kernel, stride, padding) of each layer; a map after each that has a stride."""

    def __init__(self, channels, layers, width):
        super().__init__()
        self.layers = nn.ModuleList()
        self.strides, self.channels, stride = (), (), 1
        for kernel, step, padding in layers:
            self.layers.append(nn.Conv2d(channels, width, kernel, stride=step, padding=padding))
            channels, stride = width, stride * step
            if step > 1:
                self.strides, self.channels = (*self.strides, stride), (*self.channels, width)

    def forward(self, x):
        maps = []
        for layer in self.layers:
            x = torch.nn.functional.leaky_relu(layer(x), 0.1)
            if layer.stride[0] > 1:
                maps.append(x)
        return maps


def aligned(channels, width=4):
    """Strides 2 and 4; a 3x3 convolution at each of 1 and 2."""
    RUN.append("aligned")
    return Convolutions(channels, [(3, 1, 1), (2, 2, 0), (3, 1, 1), (2, 2, 0)], width)


def like_a_resnet(channels):
    """Its first layers: 7x7 and 3x3 with stride 2, padded on both sides alike."""
    return Convolutions(channels, [(7, 2, 3), (3, 2, 1)], 8)


class Shifted(nn.Module):
    """Patches of 4 px, shown ``off`` px too far to the right."""

    strides, channels = (4,), (6,)

    def __init__(self, channels, off):
        super().__init__()
        self.off = off
        self.embed = nn.Conv2d(channels, 6, 4, stride=4)

    def forward(self, x):
        return [self.embed(x.roll(self.off, 3))]


def shifted(channels, off=2):
    return Shifted(channels, off)


class SeesAll(nn.Module):
    """Patches of 4 px, each told the mean of all."""

    strides, channels = (4,), (4,)

    def __init__(self, channels):
        super().__init__()
        self.embed = nn.Conv2d(channels, 4, 4, stride=4)

    def forward(self, x):
        x = self.embed(x)
        return [x + x.mean((2, 3), keepdim=True)]


def sees_all(channels):
    return SeesAll(channels)


class Blind(SeesAll):
    def forward(self, x):
        return [0 * self.embed(x)]


def blind(channels):
    return Blind(channels)


class TooSmall(SeesAll):
    def forward(self, x):
        return [self.embed(x)[..., 1:]]


def too_small(channels):
    return TooSmall(channels)


def broken(channels):
    raise RuntimeError("no\nluck")


def no_module(channels):
    return "an encoder"


class Given(SeesAll):
    """Gives what ``how`` makes of its map, of the strides that are said."""

    def __init__(self, channels, how, strides):
        super().__init__(channels)
        self.how, self.strides = how, strides

    def forward(self, x):
        return self.how(self.embed(x), x)


def _fails(y, x):
    raise RuntimeError("no\nluck")


HOW = {
    "fails": _fails,
    "leaves": lambda y, x: sys.exit(3),
    "a mapping": lambda y, x: {"a": y},
    "nothing": lambda y, x: None,
    "arrays": lambda y, x: [y.numpy()],
    "whole numbers": lambda y, x: [y.long()],
    "chance": lambda y, x: [y + 1e-3 * torch.randn_like(y)],
    "dropout": lambda y, x: [torch.nn.functional.dropout(y, 0.5)],
    "changes": lambda y, x: [y * x.mul_(0.5).mean()],
    "good": lambda y, x: [y],
}


def given(channels, how="good", strides=4):
    return Given(channels, HOW[how], (strides,))


def no_strides(channels):
    return Given(channels, HOW["good"], None)


def leaves(channels):
    sys.exit(3)
