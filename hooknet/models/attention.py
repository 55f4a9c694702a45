"""A hook by attention: each place of a map looks at a window of the hooked map around itself.

The idea is that of AMD-HookNet (IEEE TGRS 2023), which puts attention where HookNet concatenates, and of CGS-Net
(Scientific Reports 2025), whose branches of two spacings attend to each other at every level; layers and sizes are
our own.  The window is fixed to the place, so that what comes out does not depend on the tile.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hooknet.errors import ShapeError
from hooknet.models.blocks import centre_crop, glorot_uniform
from hooknet.shapes.work import Attention

# What a new network adds to a map is so much of what its layers would give: it starts near one without hooks.
_START = 0.1


class CrossAttention(nn.Module):
    """Queries from a map, keys and values from a hooked map of its spacing; their mean is added to the map.

    The mean over a window of W x W px about each px is weighted by softmax(q . k / sqrt(width of a head) + bias),
    with a bias learned for each place in the window and each head.
    """

    def __init__(self, hooked: int, width: int, like: Attention) -> None:
        """``hooked`` and ``width``: channels of the hooked map and of the one it enters."""
        super().__init__()
        self.window, self.heads = like.kernel, like.heads
        self.query = glorot_uniform(nn.Conv2d(width, like.outgoing, 1))
        # A bias of the keys would change all likenesses of a place alike, and so no share.
        self.key = glorot_uniform(nn.Conv2d(hooked, like.outgoing, 1, bias=False))
        self.value = glorot_uniform(nn.Conv2d(hooked, like.outgoing, 1))
        self.out = glorot_uniform(nn.Conv2d(like.outgoing, width, 1))
        with torch.no_grad():
            self.out.weight.mul_(_START)
        self.place = nn.Parameter(torch.zeros(like.heads, like.kernel**2))

    def forward(self, hook: Tensor, net: Tensor) -> Tensor:
        """(B, hooked, t, t) and (B, width, s, s), t >= s + W - 1 -> (B, width, s, s); ShapeError for a smaller t."""
        size = net.shape[-1]
        if hook.shape[-1] < size + self.window - 1:
            raise ShapeError(
                f"a hooked map of {hook.shape[-1]} px around one of {size} px; a window of {self.window} px needs "
                f"{size + self.window - 1} px: use a larger patch"
            )
        hook = centre_crop(hook, size + self.window - 1)
        query, key, value = (
            one.unflatten(1, (self.heads, -1))  # (B, heads, width of a head, height, width)
            for one in (self.query(net), self.key(hook), self.value(hook))
        )
        # One place of the window after the other: all at once would take W^2 maps of the whole width.
        query = query * query.shape[2] ** -0.5
        alike = torch.stack(
            [(query * self._seen(key, n, size)).sum(2) for n in range(self.window**2)], dim=-1
        )
        shares = (alike + self.place[None, :, None, None]).softmax(-1)  # (B, heads, s, s, W^2)
        mean = shares[:, :, None, ..., 0] * self._seen(value, 0, size)
        for n in range(1, self.window**2):
            mean = mean + shares[:, :, None, ..., n] * self._seen(value, n, size)
        out: Tensor = self.out(mean.flatten(1, 2))
        return net + out

    def _seen(self, x: Tensor, number: int, size: int) -> Tensor:
        """What each place sees at a place of its window, counted row by row."""
        row, column = divmod(number, self.window)
        return x[..., row : row + size, column : column + size]
