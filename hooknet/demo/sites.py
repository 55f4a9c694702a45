"""Slides on which it is known what has to be seen: sites whose class lies in one of three cues, or in two of them.

Every slide has four sites.  Each shows, drawn at random and independently of each other:

- its *grain*: a checker of 2 µm squares, or none; only fine detail tells (averaged over 4 µm both are one grey);
- its *ring*, from 168 to 196 µm around its centre: a checker of 8 µm squares, or none; averaged over 16 µm both are
  one grey, and from the annotated part of a site (56 µm around its centre) 107 µm, as far as a U-Net of depth 4 at
  1 µm/px sees, do not reach it;
- the *surroundings* of the slide, from 700 µm around its centre on, which all its sites share: dark or pale; 428 µm,
  as far as that U-Net sees at 4 µm/px, do not reach them from any site.

Which cues name the classes is a setting (``context``) and no matter of the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from hooknet.demo.annotations import Shape
from hooknet.demo.fields import Positions, generator, noise
from hooknet.errors import ConfigError

Context = Literal["none", "near", "far", "both"]
#: Cues -> the spacings (µm/px) of the views that see them all, finest first.
VIEWS: Final[dict[Context, tuple[float, ...]]] = {
    "none": (1.0,),
    "near": (1.0, 4.0),
    "far": (1.0, 16.0),
    "both": (1.0, 4.0, 16.0),
}
#: Cues -> the classes, value 1 first.
CLASSES: Final[dict[Context, tuple[str, ...]]] = {
    "none": ("smooth", "grained"),
    "near": ("smooth", "grained_bare", "grained_ringed"),
    "far": ("smooth", "grained_pale", "grained_dark"),
    "both": ("smooth_bare", "smooth_ringed", "grained_pale", "grained_dark"),
}
# µm.
ANNOTATED, GRAINED = 56.0, 64.0
RING = (168.0, 196.0)
PITCH, SURROUNDINGS, SMALLEST = 400.0, 700.0, 2000.0
_GREY: Final = np.array([205.0, 160.0, 190.0], np.float32)
_DARK: Final = np.array([150.0, 110.0, 170.0], np.float32)
_PALE: Final = np.array([225.0, 190.0, 205.0], np.float32)
_CONTRAST, _NOISE = 40.0, 6.0


@dataclass(frozen=True)
class Site:
    """One site: its centre in µm, and what it shows."""

    x: float
    y: float
    grained: bool
    ringed: bool


@dataclass(frozen=True)
class Sites:
    """A slide of ``size_um`` a side; ``key`` decides all that is random."""

    size_um: float
    key: str
    dark: bool
    sites: tuple[Site, ...]


def make_sites(size_um: float, key: str) -> Sites:
    """The sites of a slide, two by two about its centre; ConfigError where it is too small for its surroundings."""
    if size_um < SMALLEST:
        raise ConfigError(
            f"phantom settings: size_um {size_um:g} found, {SMALLEST:g} or more wanted for slides with a `context`; "
            "make them larger"
        )
    rng = generator(key, "sites")
    middle = size_um / 2
    # Half of them have each cue; which, is drawn.
    grained, ringed = (rng.permutation(4) % 2 == 0 for _ in range(2))
    places = [(column, row) for row in (-0.5, 0.5) for column in (-0.5, 0.5)]
    slip = rng.uniform(-2.0, 2.0, (4, 2))
    sites = tuple(
        Site(
            float(middle + PITCH * column + slip[number, 0]),
            float(middle + PITCH * row + slip[number, 1]),
            bool(grained[number]),
            bool(ringed[number]),
        )
        for number, (column, row) in enumerate(places)
    )
    return Sites(size_um, key, bool(rng.integers(2)), sites)


def class_of(site: Site, dark: bool, context: Context) -> str:
    """The name of a site's class, where these cues name classes."""
    grain = "grained" if site.grained else "smooth"
    near, far = "ringed" if site.ringed else "bare", "dark" if dark else "pale"
    if context == "none":
        return grain
    if context == "both":
        return f"{grain}_{far if site.grained else near}"
    return f"{grain}_{near if context == 'near' else far}" if site.grained else grain


def paint_sites(slide: Sites, spacing: float) -> NDArray[np.uint8]:
    """The slide at ``spacing`` µm/px, (side, side, 3); every pixel is the picture at its centre."""
    side = round(slide.size_um / spacing)
    at = (np.arange(side) + 0.5) * spacing
    rng = generator(slide.key, "texture")
    picture = np.empty((side, side, 3), np.float32)
    picture[:] = _GREY
    out = np.maximum(*np.abs(np.meshgrid(at - slide.size_um / 2, at - slide.size_um / 2)))
    picture[out > SURROUNDINGS] = _DARK if slide.dark else _PALE
    picture += 8.0 * noise(slide.size_um, 60.0, rng).on(at, at)[..., None]
    for site in slide.sites:
        _paint_site(picture, at, site)
    picture += rng.normal(0.0, _NOISE, picture.shape[:2])[..., None]
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _paint_site(picture: NDArray[np.float32], at: Positions, site: Site) -> None:
    columns = np.flatnonzero(np.abs(at - site.x) <= RING[1])
    rows = np.flatnonzero(np.abs(at - site.y) <= RING[1])
    x, y = np.meshgrid(at[columns] - site.x, at[rows] - site.y)
    distance = np.hypot(x, y)
    change = np.zeros_like(distance)
    if site.grained:
        change += np.where(distance <= GRAINED, _checker(x, y, 2.0), 0.0)
    if site.ringed:
        change += np.where((distance >= RING[0]) & (distance <= RING[1]), _checker(x, y, 8.0), 0.0)
    picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += change[..., None].astype(np.float32)


def _checker(x: NDArray[np.float64], y: NDArray[np.float64], square: float) -> NDArray[np.float64]:
    """Squares of ``square`` µm, by turns brighter and darker."""
    return np.where((np.floor(x / square) + np.floor(y / square)) % 2 == 0, _CONTRAST, -_CONTRAST)


def truth_of(slide: Sites, spacing: float, context: Context) -> NDArray[np.uint8]:
    """The class of the annotated part of every site (``CLASSES``, from 1), 0 elsewhere: (side, side)."""
    side = round(slide.size_um / spacing)
    at = (np.arange(side) + 0.5) * spacing
    truth = np.zeros((side, side), np.uint8)
    for site in slide.sites:
        inside = np.hypot(*np.meshgrid(at - site.x, at - site.y)) <= ANNOTATED
        truth[inside] = 1 + CLASSES[context].index(class_of(site, slide.dark, context))
    return truth


def draw_sites(slide: Sites, context: Context) -> list[Shape]:
    """The annotated part of every site as a polygon of its class, in µm."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    circle = ANNOTATED * np.column_stack([np.cos(angle), np.sin(angle)])
    return [
        Shape("Polygon", class_of(site, slide.dark, context), circle + np.array([site.x, site.y]))
        for site in slide.sites
    ]
