"""Pictures whose pixels say where they are, through every spatial augmentation: one place stays one place.

Asked for: wherever two views show the same point, they show the same tissue to half a px of the finer one, and
labels say what their view shows to half a px.  Each is also held against an oracle of its own, much more closely:
symmetries as matrices, displacements by scipy, all in µm.
"""

from dataclasses import dataclass, replace

import made_slides
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from hooknet.coordinates import PatchSpec
from hooknet.data.augment import numbers, spatial
from hooknet.data.augment.chain import Augment, Strengths
from hooknet.data.index import CentreIndex, SlideFiles
from hooknet.data.patches import LabelSpec, PatchDataset

STILL = Strengths(True, 0.0, 60.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
# Standard deviation of the displacement and distance of its nodes, in µm.
ELASTIC = ((0.0, 60.0), (1.0, 20.0), (3.0, 20.0), (3.0, 60.0), (6.0, 200.0))
SPACINGS = ((0.5,), (0.5, 2.0), (0.5, 2.0, 8.0))
# Out of (x, y) after the turn comes the place before it: a quarter turn, done 0 to 3 times, then perhaps a flip.
QUARTER, FLIP = np.array([[0, -1], [1, 0]]), np.array([[-1, 0], [0, 1]])
SYMMETRIES = [
    np.linalg.matrix_power(FLIP, flip) @ np.linalg.matrix_power(QUARTER, turns)
    for flip in (0, 1)
    for turns in range(4)
]


def places(size: int, spacing: float) -> np.ndarray:
    """(2, size, size): how many µm right of and below the centre each pixel centre lies."""
    axis = (np.arange(size) + 0.5 - size / 2) * spacing
    return np.stack(np.meshgrid(axis, axis))


@dataclass(frozen=True)
class Case:
    """One setting of the augmentation; eight patches go through it, one in each symmetry."""

    spec: PatchSpec
    elastic_um: float
    scale_um: float
    label_sizes: tuple[int, ...]

    @property
    def layout(self) -> numbers.AugmentNumbers:
        return numbers.field_layout(self.spec.size * self.spec.spacings[-1], self.scale_um)

    @property
    def augment(self) -> Augment:
        return Augment(replace(STILL, elastic_um=self.elastic_um), self.spec, self.layout)

    def drawn(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The numbers of eight draws, but every symmetry once."""
        made = [numbers.draw_numbers(self.layout, 1, draw) for draw in range(8)]
        uniform, field = (torch.from_numpy(np.stack([one[part] for one in made])) for part in (0, 1))
        uniform[:, numbers.SYMMETRY] = (torch.arange(8) + 0.5) / 8
        return uniform, field

    def oracle(self, patch: int, size: int, spacing: float) -> np.ndarray:
        """(2, size, size): the place in µm that each pixel has to show."""
        before = np.einsum("ab,bij->aij", SYMMETRIES[patch], places(size, spacing))
        field = self.drawn()[1][patch].numpy().astype(float) * self.elastic_um
        nodes = (before / self.layout.extent_um + 0.5) * (self.layout.nodes - 1)  # x, y
        moved = [ndimage.map_coordinates(one, nodes[::-1], order=1, mode="nearest") for one in field]
        return before + np.stack(moved)


def case_of(spacings=(0.5, 2.0, 8.0), size=96, elastic=(3.0, 60.0)) -> Case:
    return Case(
        PatchSpec(size, size // 2, spacings),
        *elastic,
        tuple(size - 16 * (1 + one) for one in range(len(spacings))),
    )


@dataclass(frozen=True)
class Shown:
    """Places in µm that the augmented views and labels of a patch show, (2, size, size); NaN where none."""

    views: list[np.ndarray]
    labels: list[np.ndarray]


def shown_by(case: Case) -> list[Shown]:
    """Eight patches of a slide whose pixels say where they are, augmented and read."""
    spec, width = case.spec, case.spec.size * case.spec.spacings[-1]
    views = np.stack(
        [np.concatenate([places(spec.size, one) / width + 0.5] * 2)[:3] for one in spec.spacings]
    )
    labels = [
        torch.arange(size * size).view(1, size, size).expand(8, -1, -1) + 1 for size in case.label_sizes
    ]
    given = torch.from_numpy(views).float().expand(8, *views.shape)
    branches = tuple(range(len(spec.spacings)))
    found, told = case.augment(given, labels, branches, *case.drawn())
    patches = []
    for patch in range(8):
        read = [
            within(
                (found[patch, branch, :2].numpy().astype(float) - 0.5) * width,
                spec.size,
                spec.spacings[branch],
            )
            for branch in branches
        ]
        said = [numbered(one[patch].numpy(), spec.spacings[branch]) for branch, one in enumerate(told)]
        patches.append(Shown(read, said))
    return patches


def within(place: np.ndarray, size: int, spacing: float) -> np.ndarray:
    """NaN where a view shows its own edge: there it repeats, as what lies beyond was not read."""
    beyond = (np.abs(place) > (size / 2 - 0.5 - 1e-2) * spacing).any(axis=0)
    return np.where(beyond, np.nan, place)


def numbered(values: np.ndarray, spacing: float) -> np.ndarray:
    """The places of labels that are the numbers of their pixels, from 1 on."""
    size = len(values)
    rows, columns = np.divmod(values - 1, size)
    place = (np.stack([columns, rows]) + 0.5 - size / 2) * spacing
    return np.where(values == 0, np.nan, place)


def apart(one: np.ndarray, spacing: float, other: np.ndarray, other_spacing: float) -> np.ndarray:
    """How many µm apart are the tissue that ``one`` shows at its pixel centres and what ``other`` shows right there."""
    at = places(one.shape[-1], spacing) / other_spacing + (other.shape[-1] - 1) / 2  # px of other, x then y
    seen = np.stack([ndimage.map_coordinates(part, at[::-1], order=1, cval=np.nan) for part in other])
    return np.abs(one - seen).max(axis=0)


def largest(off: list[np.ndarray], least: float) -> float:
    """The largest of all that could be compared, which has to be ``least`` of each."""
    for one in off:
        assert np.isfinite(one).mean() >= least, np.isfinite(one).mean()
    return float(np.nanmax(np.stack(off)))


def pairs_apart(case: Case, patches: list[Shown]) -> float:
    """Views against views: the most that any two are apart, in px of the finer."""
    spacings = case.spec.spacings
    worst = 0.0
    for coarse in range(len(spacings)):
        for fine in range(coarse):
            off = [
                apart(one.views[coarse], spacings[coarse], one.views[fine], spacings[fine]) for one in patches
            ]
            seen = (spacings[fine] / spacings[coarse]) ** 2
            worst = max(worst, largest(off, 0.4 * seen) / spacings[fine])
    return worst


def labels_apart(case: Case, patches: list[Shown]) -> float:
    """Labels against every view, in px of the labels."""
    spacings = case.spec.spacings
    worst = 0.0
    for branch, spacing in enumerate(spacings):
        for view, other in enumerate(spacings[: branch + 1]):
            off = [apart(one.labels[branch], spacing, one.views[view], other) for one in patches]
            seen = min(1.0, (case.spec.size * other / (case.label_sizes[branch] * spacing)) ** 2)
            worst = max(worst, largest(off, 0.4 * seen) / spacing)
    return worst


def from_oracle(case: Case, patches: list[Shown]) -> float:
    """Every view against the oracle, in its own px."""
    off = []
    for patch, one in enumerate(patches):
        for view, spacing in zip(one.views, case.spec.spacings, strict=True):
            off.append(np.abs(view - case.oracle(patch, case.spec.size, spacing)).max(axis=0) / spacing)
    return largest(off, 0.4)


# What is compared between pixel centres is interpolated, which costs a little where the displacement has a kink.
HALF = 0.5 + 5e-3


@pytest.mark.parametrize("elastic", ELASTIC)
@pytest.mark.parametrize("spacings", SPACINGS)
@pytest.mark.parametrize("size", [96, 97])
def test_one_place_stays_one_place_in_all_views_and_labels(spacings, size, elastic):
    case = case_of(spacings, size, elastic)
    patches = shown_by(case)
    assert from_oracle(case, patches) < 0.001
    assert pairs_apart(case, patches) < 0.1
    assert labels_apart(case, patches) <= HALF


def test_tissue_is_really_moved_and_by_each_symmetry_otherwise():
    case = case_of((0.5, 2.0), elastic=(3.0, 60.0))
    patches = shown_by(case)
    for patch, one in enumerate(patches):
        straight = np.einsum("ab,bij->aij", SYMMETRIES[patch], places(96, 0.5))
        assert np.nanmax(np.abs(one.views[0] - straight)) > 2.0  # µm: eight half pixels of the target
    for patch in range(8):
        for other in range(patch):
            assert np.nanmax(np.abs(patches[patch].views[1] - patches[other].views[1])) > 20


def test_a_view_misses_tissue_at_its_rim_only():
    # What lies beyond the view was not read: its edge is repeated, as far in as a displacement reaches, 7.5 µm.
    for elastic, most in (((3.0, 60.0), 0.06), ((0.0, 60.0), 0.0)):
        case = case_of((0.5, 8.0), 284, elastic)
        spec = case.spec
        for one in shown_by(case):
            for view, spacing in zip(one.views, spec.spacings, strict=True):
                missed = np.isnan(view[0])
                rim = int(np.ceil(numbers.ELASTIC_LIMIT * elastic[0] / spacing)) + 1
                assert not missed[rim:-rim, rim:-rim].any()
                outer = np.abs(places(spec.size, spacing)).max(axis=0) > (spec.size / 2 - 1) * spacing
                assert (missed & ~outer).mean() <= most


def changed(function, change, chosen):
    """The function, changed where ``chosen`` of its arguments."""

    def other(*arguments):
        return change(*arguments) if chosen(*arguments) else function(*arguments)

    return other


def of_context(_field, _extent, _size, spacing):
    return spacing == 8.0


def of_target_view(_field, _extent, size, spacing):
    return spacing == 0.5 and size == 96


move, turn, warp_labels = spatial.displacement, spatial.turn, spatial.warp_labels
# What goes wrong -> the function, its wrong form, and for which arguments.
MISTAKES = {
    "the context is moved by a pixel more": ("displacement", lambda *of: move(*of) + 1.0, of_context),
    "the target is moved by a pixel more": ("displacement", lambda *of: move(*of) + 1.0, of_target_view),
    "displacements of the context are in px of the target": (
        "displacement", lambda *of: move(*of) * 8.0 / 0.5, of_context,
    ),
    "displacements of the context are in µm": ("displacement", lambda *of: move(*of) * 8.0, of_context),
    "each view has the field over itself": (
        "displacement", lambda field, _, size, spacing: move(field, size * spacing, size, spacing), of_target_view,
    ),
    "the context is laid under the field at another spacing": (
        "displacement", lambda field, extent, size, _: move(field, extent, size, 2.0) / 4, of_context,
    ),
    "x and y are exchanged in the target": ("displacement", lambda *of: move(*of).flip(1), of_target_view),
    "the target is moved the other way": ("displacement", lambda *of: -move(*of), of_target_view),
    "the context stays as it is": ("displacement", lambda *of: move(*of) * 0, of_context),
    "labels are turned the other way": (
        "turn", lambda maps, symmetry: turn(maps, (4 - symmetry) % 4), lambda maps, _: maps.ndim == 3,
    ),
    "labels are not flipped": (
        "turn", lambda maps, symmetry: turn(maps, symmetry % 4), lambda maps, _: maps.ndim == 3,
    ),
    "labels stay where they are": ("warp_labels", lambda labels, _: labels, lambda *_: True),
    "labels are taken left of and above their place": (
        "warp_labels", lambda labels, moved: warp_labels(labels, moved - 0.5), lambda *_: True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_comparison_sees_what_it_looks_for(mistake, monkeypatch):
    name, wrong, chosen = MISTAKES[mistake]
    case = case_of()
    monkeypatch.setattr(spatial, name, changed(getattr(spatial, name), wrong, chosen))
    patches = shown_by(case)
    seen = labels_apart(case, patches) if "labels" in mistake else pairs_apart(case, patches)
    assert seen > 2 * HALF - 0.1, seen


def test_the_oracle_sees_half_a_pixel_s_error_of_the_pixel_grid(monkeypatch):
    def corners(images, moved):
        size = images.shape[-1]
        at = torch.arange(size) + 0.5
        rows, columns = torch.meshgrid(at, at, indexing="ij")
        found = torch.stack([columns + moved[:, 0], rows + moved[:, 1]], dim=-1) * 2 / size - 1
        return torch.nn.functional.grid_sample(images, found, padding_mode="border", align_corners=True)

    monkeypatch.setattr(spatial, "warp_images", corners)
    case = case_of()
    assert from_oracle(case, shown_by(case)) > 0.4


RISE = 60  # level-0 px over which the slide's waves rise and fall: 4 grey levels a px
PERIOD = 15  # of the mask's values along x and y


@pytest.fixture(scope="module")
def patches(tmp_path_factory) -> PatchDataset:
    """A slide of 0.5 µm/px that encodes its places in waves, and a mask whose values encode them modulo 15 px."""
    folder = tmp_path_factory.mktemp("coordinates")
    width, height = 1280, 1200
    slide = made_slides.write_slide(
        folder / "slide.tif", made_slides.coordinates_image(width, height, RISE), spacing=0.5
    )
    rows, columns = np.indices((height, width))
    values = (1 + columns % PERIOD + PERIOD * (rows % PERIOD)).astype(np.uint8)
    mask = made_slides.write_mask(folder / "mask.tif", values, classes=PERIOD**2)
    table = pd.DataFrame({"x": [640.0, 611.0], "y": [600.0, 577.0], "slide": 0})
    files = SlideFiles("s", slide, None, mask, folder / "none")
    return PatchDataset(
        CentreIndex(table, (files,), ("any",)), REAL.spec, LabelSpec((0,), REAL.label_sizes), REAL.layout, 1
    )


REAL = Case(PatchSpec(64, 24, (0.5, 2.0, 8.0)), 2.0, 60.0, (48,))


@pytest.mark.parametrize("row", [0, 1])
def test_patches_read_from_a_slide_show_the_places_they_should(patches, row):
    views, labels, _, _ = patches[(0, row)]
    given = torch.from_numpy(views).permute(0, 3, 1, 2).float()[None].expand(8, -1, -1, -1, -1) / 255
    told = [torch.from_numpy(labels[0])[None].expand(8, -1, -1)]
    found, (said,) = REAL.augment(given, told, (0,), *REAL.drawn())
    centre = np.array([(640.0, 600.0), (611.0, 577.0)][row])[:, None, None]
    for patch in range(8):
        for branch, spacing in enumerate(REAL.spec.spacings):
            off = waves_off(
                found[patch, branch, :2].numpy() * 255.0, REAL.oracle(patch, 64, spacing), centre, spacing
            )
            assert np.isfinite(off).mean() > 0.1
            assert np.nanmax(off) < 0.05, (patch, spacing)
        place = centre + REAL.oracle(patch, 48, 0.5) / 0.5
        value = said[patch].numpy().astype(int) - 1
        code = np.stack([value % PERIOD, value // PERIOD]) + 0.5
        off = (code - place + PERIOD / 2) % PERIOD - PERIOD / 2
        inside = (np.abs(place - centre).max(axis=0) < 23.5) & (value >= 0)
        assert inside.mean() > 0.7
        assert np.abs(off[:, inside]).max() <= HALF


def waves_off(grey: np.ndarray, oracle: np.ndarray, centre: np.ndarray, spacing: float) -> np.ndarray:
    """How many px of the view the grey levels (2, size, size) are off; NaN near folds of a wave and a view's edge."""
    place = centre + oracle / 0.5  # level-0 px
    phase = place % (2 * RISE)
    wanted = 240 / RISE * np.minimum(phase, 2 * RISE - phase)
    from_fold = np.minimum(place % RISE, RISE - place % RISE) * 0.5
    size = oracle.shape[-1]
    # A pixel averages half its width on both sides, and sampling takes two neighbours.
    fine = (from_fold > 1.5 * spacing) & (np.abs(oracle) < (size / 2 - 0.5) * spacing)
    return np.where(fine, np.abs(grey - wanted) / (240 / RISE) * 0.5 / spacing, np.nan)
