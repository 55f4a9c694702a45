"""Nuclei: where they lie in the world, and how one looks, so that textures differ and mean colours do not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import pi

import numpy as np
from numpy.typing import NDArray

from hooknet.demo.fields import Lattice
from hooknet.demo.tissue import FAT, IN_SITU, LYMPHOID, SHEETS, WALL, Region, World

VESICULAR, SOLID = 0, 1
RADIUS = 3.9  # µm, of a nucleus in a sheet
PITCH = 11.2  # µm between neighbours in a sheet

# Profiles are tables over the squared distance from the centre, in units of the nucleus' own radii.
BINS = 512
EDGE = 1.3  # in the same units (not squared): nothing of a nucleus lies beyond


@dataclass(frozen=True)
class Nuclei:
    """One row per nucleus: centre and half axes (µm), angle (radians), texture, opacity 0..1."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    long: NDArray[np.float64]
    short: NDArray[np.float64]
    angle: NDArray[np.float64]
    texture: NDArray[np.int64]
    opacity: NDArray[np.float64]

    def take(self, chosen: NDArray[np.bool_]) -> Nuclei:
        """The rows where ``chosen``."""
        return Nuclei(
            self.x[chosen],
            self.y[chosen],
            self.long[chosen],
            self.short[chosen],
            self.angle[chosen],
            self.texture[chosen],
            self.opacity[chosen],
        )

    @classmethod
    def join(cls, parts: list[Nuclei]) -> Nuclei:
        """All rows of ``parts``, in order."""
        names = ("x", "y", "long", "short", "angle", "texture", "opacity")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@cache
def profiles() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coverage (BINS,) and coverage times darkness (2 textures, BINS) of a nucleus.

    Both textures have the same integral and the same second moment over the nucleus, so that area averages
    much larger than a nucleus cannot tell them apart.
    """
    rho = np.sqrt((np.arange(BINS) + 0.5) / BINS) * EDGE
    cover = np.clip((1.08 - rho) / 0.16, 0, 1)
    nucleolus = np.exp(-((rho / 0.36) ** 4))
    rim = np.exp(-(((rho - 0.9) / 0.2) ** 2))
    # Equal steps of the squared radius are equal areas: plain sums integrate over the disc.
    spread = float((cover * rho**2).sum() / cover.sum())
    lever = [float((cover * part * (rho**2 - spread)).sum()) for part in (nucleolus, rim)]
    vesicular = nucleolus * (-lever[1] / lever[0]) + rim
    vesicular /= vesicular.max()
    solid = float((cover * vesicular).sum() / cover.sum())
    dark = np.stack([cover * vesicular, cover * solid])
    return cover.astype(np.float32), dark.astype(np.float32)


def make_nuclei(world: World, fibres: Lattice) -> Nuclei:
    """Every nucleus of the world: sheets of round ones, spindles along the fibres of the stroma."""
    parts = [
        _sheet(region, world.generator(f"nuclei of region {number}"))
        for number, region in enumerate(world.regions)
        if region.kind in SHEETS
    ]
    return Nuclei.join([*parts, _spindles(world, fibres, world.generator("spindles"))])


def _sheet(region: Region, rng: np.random.Generator) -> Nuclei:
    """Round nuclei on a loosened hexagonal grid that fills the outline; only the texture knows the class."""
    outline, rise = region.outline, PITCH * 3**0.5 / 2
    half = int(outline.radius * 1.4 / rise) + 1
    row, column = (axis.ravel().astype(float) for axis in np.mgrid[-half : half + 1, -half : half + 1])
    across, down = PITCH * (column + 0.5 * (row % 2)), rise * row
    turn = rng.uniform(0, pi)
    jitter = rng.normal(0, 1.15, (2, row.size)).clip(-2.2, 2.2)
    x = outline.x + across * np.cos(turn) - down * np.sin(turn) + jitter[0]
    y = outline.y + across * np.sin(turn) + down * np.cos(turn) + jitter[1]
    there = (outline.depth(x, y) > RADIUS) & (rng.random(row.size) > 0.06)
    x, y = x[there], y[there]
    size = RADIUS * rng.normal(1, 0.07, x.size).clip(0.85, 1.15)
    stretch = np.sqrt(rng.uniform(1.0, 1.25, x.size))
    texture = SOLID if region.kind == LYMPHOID else VESICULAR
    angle, opacity = rng.uniform(0, pi, x.size), rng.uniform(0.85, 1.0, x.size)
    return Nuclei(x, y, size * stretch, size / stretch, angle, np.full(x.size, texture), opacity)


def _spindles(world: World, fibres: Lattice, rng: np.random.Generator) -> Nuclei:
    """Thin solid nuclei all over the stroma, along its fibres."""
    count = int(1100e-6 * world.size_um**2)
    x, y = rng.uniform(0, world.size_um, (2, count))
    there = world.tissue.depth(x, y) > 10
    for region in world.regions:
        margin = WALL + 4 if region.kind == IN_SITU else 4 if region.kind == FAT else 12
        there &= region.outline.depth(x, y) < -margin
    x, y = x[there], y[there]
    column, row = (np.round(at / fibres.step).astype(np.int64) + 1 for at in (x, y))
    slope_y, slope_x = (np.asarray(np.gradient(fibres.values, axis=axis)) for axis in (0, 1))
    angle = np.arctan2(slope_y[row, column], slope_x[row, column]) + pi / 2 + rng.normal(0, 0.25, x.size)
    long, short = rng.uniform(5.0, 8.0, x.size), rng.uniform(1.4, 2.1, x.size)
    texture = np.full(x.size, SOLID)
    return Nuclei(x, y, long, short, angle, texture, rng.uniform(0.7, 1.0, x.size))
