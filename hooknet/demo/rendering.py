"""A world painted as if it were stained with haematoxylin and eosin, at any spacing, and its dense truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, pi

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hooknet.coordinates import blocks
from hooknet.demo.fields import Field, Lattice, Positions, nodes, noise, ramp
from hooknet.demo.nuclei import BINS, EDGE, RADIUS, Nuclei, make_nuclei, profiles
from hooknet.demo.tissue import FAT, IN_SITU, SHEETS, STROMA, VALUES, VESSEL, World, depth_field

_TILE = 512  # px a side painted at once: bounds the memory
_WHITE = 243.0
# Optical density (natural logarithm) of red, green and blue per unit of stain.
_HAEMATOXYLIN = np.array([0.60, 0.74, 0.32], dtype=np.float32)
_EOSIN = np.array([0.10, 0.85, 0.47], dtype=np.float32)
_LONGEST_NUCLEUS = 8.5 * EDGE  # µm, half axis


@dataclass(frozen=True)
class Stain:
    """How one slide was stained: RGB of the light a unit of each stain lets through is ``white * exp(-od)``."""

    haematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]

    def rgb(self, haematoxylin: Field | float, eosin: Field | float) -> Field:
        """(..., 3) red, green, blue 0..255 of amounts of the two stains."""
        blue, pink = np.asarray(haematoxylin, np.float32), np.asarray(eosin, np.float32)
        density = blue[..., None] * self.haematoxylin + pink[..., None] * self.eosin
        return np.float32(_WHITE) * np.exp(-density)


@dataclass(frozen=True)
class Scene:
    """All fields and nuclei of a world, ready to be painted tile by tile."""

    world: World
    stain: Stain
    nuclei: Nuclei
    tissue: Lattice
    depths: dict[str, Lattice]
    fibres: Lattice
    patchy: Lattice
    grain: Lattice
    shade: Lattice
    membranes: Lattice


def make_scene(world: World) -> Scene:
    """The fields of a world; nothing in them depends on a spacing."""
    rng, size = world.generator("texture"), world.size_um
    fibres = _fibres(size, rng)
    stain = Stain(
        (_HAEMATOXYLIN * rng.normal(1, 0.03, 3) * rng.uniform(0.92, 1.08)).astype(np.float32),
        (_EOSIN * rng.normal(1, 0.03, 3) * rng.uniform(0.9, 1.1)).astype(np.float32),
    )
    return Scene(
        world,
        stain,
        make_nuclei(world, fibres),
        depth_field(size, [world.tissue]),
        {kind: world.depth(kind) for kind in (*SHEETS, FAT, VESSEL)},
        fibres,
        noise(size, 60.0, rng),
        noise(size, 3.0, rng),
        noise(size, 400.0, rng),
        _membranes(world),
    )


def _fibres(size_um: float, rng: np.random.Generator) -> Lattice:
    """A phase (turns) whose level lines are wavy fibres, about 14 µm apart, along one direction of the slide."""
    bends, step, way = noise(size_um, 110.0, rng), 5.0, rng.uniform(0, 2 * pi)
    at = nodes(size_um, step)
    slope = (at[None, :] * np.cos(way) + at[:, None] * np.sin(way)) / 14.0
    inner = np.clip(at, 0, size_um)
    return Lattice(step, (slope + 2.4 * bends.on(inner, inner)).astype(np.float32), cubic=True)


def _membranes(world: World) -> Lattice:
    """Distance (µm) to the nearest border between two fat cells."""
    step, rng = 2.0, world.generator("fat cells")
    at = nodes(world.size_um, step)
    values = np.full((len(at), len(at)), 20.0, dtype=np.float32)
    seeds = cKDTree(_scattered(world.size_um, 52.0, rng))
    for region in world.of(FAT):
        far = region.outline.radius * 1.3
        columns = slice(*np.searchsorted(at, [region.outline.x - far, region.outline.x + far]))
        rows = slice(*np.searchsorted(at, [region.outline.y - far, region.outline.y + far]))
        places = np.stack(np.meshgrid(at[columns], at[rows]), axis=-1)
        near = np.asarray(seeds.query(places, k=2)[0])
        values[rows, columns] = (near[..., 1] - near[..., 0]) / 2
    return Lattice(step, values, cubic=False)


def _scattered(size_um: float, pitch: float, rng: np.random.Generator) -> Positions:
    """(n, 2) points about ``pitch`` µm apart without order, over the world and a little beyond."""
    count = ceil(size_um / pitch) + 3
    grid = np.stack(np.meshgrid(*[np.arange(count) - 1.0] * 2), axis=-1).reshape(-1, 2)
    return np.asarray((grid + rng.uniform(0.0, 0.75, grid.shape)) * pitch)


def paint(
    scene: Scene, width: int, height: int, spacing: float
) -> Iterator[tuple[int, int, NDArray[np.uint8], NDArray[np.uint8]]]:
    """(column, row, rgb (h, w, 3), truth (h, w)) of the tiles of a slide of width x height px at ``spacing``."""
    rng = scene.world.generator("camera")
    for column, row, w, h in blocks(width, height, _TILE):
        xs, ys = (column + np.arange(w) + 0.5) * spacing, (row + np.arange(h) + 0.5) * spacing
        depths = {
            kind: field.on(xs, ys) for kind, field in scene.depths.items() if field.highest(xs, ys) > -60
        }
        inside = scene.tissue.on(xs, ys)
        rgb = _flesh(scene, xs, ys, depths, inside)
        _add_nuclei(rgb, scene, column, row, spacing)
        rgb *= 1 + np.float32(0.012) * scene.shade.on(xs, ys)[..., None]
        rgb += rng.standard_normal((h, w, 1), dtype=np.float32) * np.float32(1.6)
        yield column, row, np.clip(rgb + 0.5, 0, 255).astype(np.uint8), _truth(depths, inside)


def _truth(depths: dict[str, Field], inside: Field) -> NDArray[np.uint8]:
    """Values of the classes; 0 on glass and in vessels."""
    truth = np.where(inside > 0, VALUES[STROMA], 0).astype(np.uint8)
    for kind, depth in depths.items():
        truth[depth > 0] = VALUES.get(kind, 0)
    return truth


def _flesh(scene: Scene, xs: Positions, ys: Positions, depths: dict[str, Field], inside: Field) -> Field:
    """RGB of everything but nuclei."""
    grain = scene.grain.on(xs, ys)
    blue, pink = _stroma(scene, xs, ys, grain)
    if IN_SITU in depths:
        _wall(blue, pink, depths[IN_SITU] + 2.5 * scene.patchy.on(xs, ys), grain)
    for kind in SHEETS:
        if kind in depths:
            _blend(blue, pink, ramp(depths[kind], 3.0), 0.20 + 0.02 * grain, 0.42 + 0.04 * grain)
    if FAT in depths:
        membrane = 1 - ramp(scene.membranes.on(xs, ys) - np.float32(1.3), 1.2)
        _blend(blue, pink, ramp(depths[FAT], 5.0), 0.01 + 0.05 * membrane, 0.015 + 0.42 * membrane)
    if VESSEL in depths:
        lumen = depths[VESSEL]
        _blend(blue, pink, ramp(lumen + 7, 3.0), 0.10 + 0.02 * grain, 0.62 + 0.05 * grain)
        cells = np.clip(0.5 * grain, 0, 1)
        _blend(blue, pink, ramp(lumen, 2.0), 0.02 + 0.02 * cells, 0.03 + 0.8 * cells)
    glass = ramp(inside, 4.0)
    return scene.stain.rgb(blue * glass, pink * glass)


def _stroma(scene: Scene, xs: Positions, ys: Positions, grain: Field) -> tuple[Field, Field]:
    """Amounts of the stains in wavy bundles: level lines of a smooth field."""
    patchy = scene.patchy.on(xs, ys)
    wave = np.sin(np.float32(2 * pi) * scene.fibres.on(xs, ys) + 0.8 * grain)
    pink = 0.44 + (0.09 + 0.035 * patchy) * wave + 0.06 * patchy + 0.05 * grain
    return 0.08 + 0.02 * wave + 0.015 * grain, np.maximum(pink, 0.05)


def _wall(blue: Field, pink: Field, depth: Field, grain: Field) -> None:
    """Around the cells of a duct: a little stroma, a pale band, a ring of dense collagen; in place."""
    streaks = np.sin(np.float32(2 * pi / 6) * depth + grain)
    ring = ramp(depth + 38, 4.0) - ramp(depth + 8, 3.0)
    _blend(blue, pink, ring, 0.08 + 0.01 * grain, 0.80 + 0.08 * streaks + 0.06 * grain)
    pale = ramp(depth + 22, 4.0) - ramp(depth + 9, 4.0)
    _blend(blue, pink, pale, 0.07 + 0.01 * grain, 0.13 + 0.03 * grain)


def _blend(blue: Field, pink: Field, share: Field, new_blue: Field | float, new_pink: Field | float) -> None:
    blue += share * (new_blue - blue)
    pink += share * (new_pink - pink)


def _add_nuclei(rgb: Field, scene: Scene, column: int, row: int, spacing: float) -> None:
    """Paint nuclei over a tile, in place, mixing light and not density: so equal darkness is equal mean RGB."""
    height, width = rgb.shape[:2]
    left, top, reach = column * spacing, row * spacing, _LONGEST_NUCLEUS
    near = scene.nuclei.take(
        (scene.nuclei.x > left - reach)
        & (scene.nuclei.x < left + width * spacing + reach)
        & (scene.nuclei.y > top - reach)
        & (scene.nuclei.y < top + height * spacing + reach)
    )
    cover, dark = np.zeros((2, height * width), dtype=np.float32)
    for chosen in (near.long <= 1.3 * RADIUS, near.long > 1.3 * RADIUS):
        some = near.take(chosen)
        if len(some.x):
            _stamp(cover, dark, some, (left, top), (height, width), spacing)
    shape = (height, width, 1)
    deep, light = scene.stain.rgb(2.3, 0.40), scene.stain.rgb(0.36, 0.24)
    crowd = np.maximum(cover, 1)
    cover, dark = (cover / crowd).reshape(shape), (dark / crowd).reshape(shape)
    rgb *= 1 - cover
    rgb += cover * light + dark * (deep - light)


def _stamp(
    cover: Field,
    dark: Field,
    some: Nuclei,
    corner: tuple[float, float],
    shape: tuple[int, int],
    spacing: float,
) -> None:
    """Add coverage and darkness of nuclei to the flat tiles ``cover`` and ``dark``."""
    height, width = shape
    half = ceil(float(some.long.max()) * EDGE / spacing) + 1
    around = np.arange(-half, half + 1)
    columns = np.floor((some.x - corner[0]) / spacing).astype(np.int64)[:, None] + around
    rows = np.floor((some.y - corner[1]) / spacing).astype(np.int64)[:, None] + around
    dx = (((columns + 0.5) * spacing + corner[0]) - some.x[:, None]).astype(np.float32)[:, None, :]
    dy = (((rows + 0.5) * spacing + corner[1]) - some.y[:, None]).astype(np.float32)[:, :, None]
    cos, sin = (f(some.angle).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    long, short = (axis.astype(np.float32)[:, None, None] for axis in (some.long, some.short))
    squared = ((dx * cos + dy * sin) / long) ** 2 + ((dy * cos - dx * sin) / short) ** 2
    there = squared < EDGE**2
    there &= ((columns >= 0) & (columns < width))[:, None, :] & ((rows >= 0) & (rows < height))[:, :, None]
    nucleus = np.nonzero(there)[0]
    # Just inside the edge, float32 can round up to the bin beyond the last.
    bins = np.minimum((squared[there] * np.float32(BINS / EDGE**2)).astype(np.int64), BINS - 1)
    flat = (rows[:, :, None] * width + columns[:, None, :])[there]
    opacity = some.opacity.astype(np.float32)[nucleus]
    cover_of, dark_of = profiles()
    cover += np.bincount(flat, cover_of[bins] * opacity, len(cover)).astype(np.float32)
    dark += np.bincount(flat, dark_of[some.texture[nucleus], bins] * opacity, len(dark)).astype(np.float32)
