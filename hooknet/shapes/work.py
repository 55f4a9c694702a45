"""What a convolution costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """A ``kernel`` x ``kernel`` convolution to maps of ``size`` px; ``name`` as in the official code."""

    name: str
    incoming: int
    outgoing: int
    kernel: int
    size: int
    normalised: bool = False
    biased: bool = True

    @property
    def stage(self) -> str:
        """Branch and block: ``target.enc0``, ``context.mid``, ``target.out``."""
        return ".".join(self.name.split(".")[:2])

    @property
    def multiply_accumulates(self) -> int:
        """Multiply-accumulate operations for one patch."""
        return self.incoming * self.outgoing * self.kernel**2 * self.size**2

    @property
    def output_values(self) -> int:
        """Numbers in the map that comes out."""
        return self.outgoing * self.size**2

    @property
    def values(self) -> int:
        """Numbers in the maps that go in (as large as the output, nearly) and come out."""
        return (self.incoming + self.outgoing) * self.size**2

    @property
    def parameters(self) -> int:
        """Trained numbers: kernel, bias if any, and scale and shift of the normalisation."""
        own = self.incoming * self.outgoing * self.kernel**2 + (self.outgoing if self.biased else 0)
        return own + (2 * self.outgoing if self.normalised else 0)


@dataclass(frozen=True)
class Attention(Convolution):
    """Local attention: each px of maps of ``outgoing`` channels to a window of ``kernel`` px a side, by heads.

    A learned number for each head and place in the window; layers before and after it are convolutions.
    """

    heads: int = 1

    @property
    def multiply_accumulates(self) -> int:
        """Of likenesses and of means, which take as many."""
        return 2 * self.outgoing * self.kernel**2 * self.size**2

    @property
    def values(self) -> int:
        """Queries, keys, values, mean and one more on its way to it; likenesses and shares."""
        return (5 * self.outgoing + 2 * self.heads * self.kernel**2) * self.size**2

    @property
    def parameters(self) -> int:
        """Trained numbers of the window itself."""
        return self.heads * self.kernel**2
