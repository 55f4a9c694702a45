"""The world of one phantom, in µm: an outline of tissue and the regions in it. Knows nothing of pixels.

Two pairs of classes need two things at once.  ``in_situ`` and ``invasive`` are made of the same cells in the
same arrangement; only the wall around a duct of ``in_situ`` tells them apart, so their interiors need context.
``invasive`` and ``lymphoid`` are sheets of the same outline, size and mean colour; only the texture inside a
nucleus tells them apart, so they need detail.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi

import numpy as np

from hooknet.demo.fields import Field, Lattice, Positions, generator, nodes
from hooknet.errors import ConfigError

STROMA, FAT, IN_SITU, INVASIVE, LYMPHOID = "stroma", "fat", "in_situ", "invasive", "lymphoid"
VESSEL = "vessel"
SHEETS = (IN_SITU, INVASIVE, LYMPHOID)
# Values in the dense truth.  The wall of a duct is stroma; vessels and glass are 0 and not scored.
VALUES = {STROMA: 1, FAT: 2, IN_SITU: 3, INVASIVE: 4, LYMPHOID: 5}

WALL = 42.0  # µm, from the cells of a duct to the outer edge of its collagen
SMALLEST_WORLD = 400.0  # µm: below, five classes with margins do not fit

_DEPTH_STEP = 4.0  # µm between the nodes of depth fields
_FULL_SIZE = 2048.0
_FILLED = 0.42  # of the slide, at most: what regions and their margins take
_GAP = 24.0  # µm kept free around each region at full size
_FAR = 400.0  # µm: depths are cut off here


@dataclass(frozen=True)
class Outline:
    """A closed wavy curve around (x, y): ``radius`` µm times 1 + sum of amplitude * cos(k * angle + phase)."""

    x: float
    y: float
    radius: float
    waves: tuple[tuple[int, float, float], ...]
    squared: bool = False

    def reach(self, angle: Positions) -> Positions:
        """Distance from the centre to the curve in each direction (radians), µm."""
        factor = np.ones_like(angle)
        for k, amplitude, phase in self.waves:
            factor += amplitude * np.cos(k * angle + phase)
        if self.squared:
            factor /= (np.cos(angle) ** 4 + np.sin(angle) ** 4) ** 0.25
        return np.asarray(self.radius * factor)

    def points(self, count: int, inset: float = 0.0) -> Positions:
        """``count`` points (x, y) along the curve, ``inset`` µm inside it (negative: outside)."""
        angle = np.arange(count) * (2 * pi / count)
        reach = self.reach(angle) - inset
        return np.column_stack([self.x + reach * np.cos(angle), self.y + reach * np.sin(angle)])

    def depth(self, x: Positions, y: Positions) -> Positions:
        """Radial distance inside the curve (negative outside), µm."""
        angle = np.arctan2(y - self.y, x - self.x)
        return np.asarray(self.reach(angle) - np.hypot(x - self.x, y - self.y))


@dataclass(frozen=True)
class Region:
    """One region of a ``kind``: a class, or a vessel."""

    kind: str
    outline: Outline


@dataclass(frozen=True)
class World:
    """Everything that is where it is on one slide, in µm; ``key`` names it for the generators of its parts."""

    size_um: float
    key: str
    tissue: Outline
    regions: tuple[Region, ...]

    def of(self, kind: str) -> tuple[Region, ...]:
        """The regions of one kind, in order."""
        return tuple(region for region in self.regions if region.kind == kind)

    def generator(self, purpose: str) -> np.random.Generator:
        """The generator of one part of this world."""
        return generator(self.key, purpose)

    def depth(self, kind: str) -> Lattice:
        """How deep (µm) each place lies inside the regions of ``kind``; negative outside."""
        return depth_field(self.size_um, [region.outline for region in self.of(kind)])


def depth_field(size_um: float, outlines: list[Outline]) -> Lattice:
    """The depth (µm) inside the nearest of some outlines, cut off far away."""
    at = nodes(size_um, _DEPTH_STEP)
    values: Field = np.full((len(at), len(at)), -_FAR, dtype=np.float32)
    for one in outlines:
        far = one.reach(np.linspace(0, 2 * pi, 90)).max() + 80.0
        columns = slice(*np.searchsorted(at, [one.x - far, one.x + far]))
        rows = slice(*np.searchsorted(at, [one.y - far, one.y + far]))
        depth = one.depth(at[None, columns], at[rows, None]).astype(np.float32)
        np.maximum(values[rows, columns], depth, out=values[rows, columns])
    return Lattice(_DEPTH_STEP, values, cubic=False)


def make_world(size_um: float, key: str) -> World:
    """The world of a square slide of ``size_um`` µm a side: the same for the same key.

    Raises ConfigError when the slide is too small to hold every class with margins.
    """
    if size_um < SMALLEST_WORLD:
        raise ConfigError(
            f"phantom {key}: size_um {size_um:g} found, at least {SMALLEST_WORLD:g} wanted for five classes; "
            "make it larger"
        )
    rng = generator(key, "layout")
    tissue = Outline(
        size_um / 2, size_um / 2, 0.437 * size_um, _waves(rng, (2, 3, 5, 8, 13, 21), 0.025), squared=True
    )
    kinds, rooms = _rooms(size_um, rng)
    places, shrink = _pack(tissue, rooms, rng)
    regions = [
        _region(kind, x, y, room * shrink, rng)
        for kind, room, (x, y) in zip(kinds, rooms, places, strict=True)
    ]
    return World(size_um, key, tissue, tuple(regions))


def _waves(
    rng: np.random.Generator, ks: tuple[int, ...], size: float
) -> tuple[tuple[int, float, float], ...]:
    return tuple((k, size * rng.uniform(0.4, 1.0) * (2 / k) ** 0.5, rng.uniform(0, 2 * pi)) for k in ks)


def _rooms(size_um: float, rng: np.random.Generator) -> tuple[list[str], Positions]:
    """Kinds of the regions, and the radius (µm) of the disc each needs with its wall and a gap around it."""
    counts = {
        kind: max(1, round(count * (size_um / _FULL_SIZE) ** 2))
        for kind, count in {IN_SITU: 3, INVASIVE: 3, LYMPHOID: 2, FAT: 2, VESSEL: 1}.items()
    }
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    radius = {
        IN_SITU: (258.0, 283.0),
        INVASIVE: (216.0, 241.0),
        LYMPHOID: (216.0, 241.0),
        FAT: (145.0, 165.0),
        VESSEL: (105.0, 125.0),
    }
    rooms = np.array([rng.uniform(*radius[kind]) for kind in kinds])
    return kinds, rooms * min(1.0, size_um * (_FILLED / (pi * (rooms**2).sum())) ** 0.5)


def _region(kind: str, x: float, y: float, room: float, rng: np.random.Generator) -> Region:
    """A region that stays inside its room.  A vessel is small: its room is a clearing of stroma."""
    waves = _waves(rng, (2, 3, 4, 5, 7, 11), 0.05)
    swell = 1 + sum(amplitude for _, amplitude, _ in waves) * 0.45
    if kind == VESSEL:
        return Region(kind, Outline(x, y, 0.22 * room, waves))
    outline = Outline(x, y, (room - min(_GAP, 0.1 * room)) / swell, waves)
    wall = WALL if kind == IN_SITU else 0.0
    return Region(kind, replace(outline, radius=outline.radius - wall))


def _pack(tissue: Outline, rooms: Positions, rng: np.random.Generator) -> tuple[Positions, float]:
    """Centres of discs that neither overlap nor leave the tissue, and what all radii were multiplied by."""
    shrink, edge = 1.0, tissue.points(240)
    while True:
        angle, part = rng.uniform(0, 2 * pi, len(rooms)), np.sqrt(rng.uniform(0, 0.8, len(rooms)))
        reach = tissue.reach(angle) * part
        places = np.column_stack([tissue.x + reach * np.cos(angle), tissue.y + reach * np.sin(angle)])
        for _ in range(400):
            if _push(edge, places, rooms * shrink) < 2.0:
                return places, shrink
        shrink *= 0.97


def _push(edge: Positions, places: Positions, radii: Positions) -> float:
    """Move overlapping discs apart and away from its edge, in place; the largest overlap found, µm."""
    offset = places[:, None] - places[None]
    distance = np.hypot(offset[..., 0], offset[..., 1]) + 1e-9
    overlap = np.maximum(radii[:, None] + radii[None] - distance, 0)
    np.fill_diagonal(overlap, 0)
    places += ((0.5 * overlap / distance)[..., None] * offset).sum(axis=1)
    nearest = edge[np.hypot(*np.moveaxis(edge - places[:, None], -1, 0)).argmin(axis=1)]
    # The middle of the tissue is always inward, also for a disc that was pushed over the edge.
    inward = edge.mean(axis=0) - nearest
    inward /= np.hypot(inward[:, 0], inward[:, 1])[:, None]
    away = places - nearest
    depth = np.hypot(away[:, 0], away[:, 1]) * np.sign((away * inward).sum(axis=1))
    outside = np.maximum(radii - depth, 0)
    places += inward * outside[:, None]
    return float(max(overlap.max(), outside.max()))
