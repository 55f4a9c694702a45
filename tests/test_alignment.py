"""From annotation file to map: one place on the slide is one place everywhere."""

import made_networks
import made_slides
import numpy as np
import openslide
import pytest
import torch
from made_maps import segmented

from hooknet.coordinates import PatchSpec
from hooknet.groundtruth.centres import draw_centres
from hooknet.groundtruth.geometries import clean
from hooknet.groundtruth.rasterise import rasterise
from hooknet.groundtruth.tissue import detect_tissue
from hooknet.io.annotations import read_annotations
from hooknet.io.masks import Mask
from hooknet.io.patches import labels_around, read_views
from hooknet.io.slides import Slide
from hooknet.labels import LabelClass, LabelMap

torch.set_num_threads(1)

LABELS = LabelMap((LabelClass("dark", 1, "#ff0000", ("dark",), 0),))
# Left, top, right, bottom in level-0 px; white around, and never two in one.
BOXES = ((64, 48, 144, 128), (200, 32, 296, 80), (176, 160, 320, 256), (32, 200, 96, 264))


def write_asap(path, shift=(0, 0)):
    """The boxes as ASAP writes polygons, in px counted from ``shift``."""
    shapes = []
    for number, (left, top, right, bottom) in enumerate(BOXES):
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        points = "".join(
            f'<Coordinate Order="{order}" X="{x - shift[0]}" Y="{y - shift[1]}" />'
            for order, (x, y) in enumerate(corners)
        )
        shapes.append(
            f'<Annotation Name="a{number}" Type="Polygon" PartOfGroup="dark" Color="#F4FA58">'
            f"<Coordinates>{points}</Coordinates></Annotation>"
        )
    group = '<Group Name="dark" PartOfGroup="None" Color="#000000"><Attributes /></Group>'
    path.write_text(
        '<?xml version="1.0"?><ASAP_Annotations><Annotations>' + "".join(shapes) + "</Annotations>"
        f"<AnnotationGroups>{group}</AnnotationGroups></ASAP_Annotations>"
    )
    return path


def write_boxes(path, spacing, levels=()):
    dark = np.zeros((304, 352), bool)
    for left, top, right, bottom in BOXES:
        dark[top:bottom, left:right] = True
    image = made_slides.grey(np.where(dark, 0, 255))
    made = tuple(made_slides.reduced(image, factor) for factor in levels)
    made_slides.write_slide(path, image, made, spacing)
    return dark


def values_of(path):
    with Mask.open(path) as mask:
        return mask.read(0, 0, mask.grid.width, mask.grid.height)


@pytest.mark.parametrize(
    ("target", "levels"), [(0.5, ()), (1.0, (2, 4)), (1.0, (4, 16)), (2.0, ()), (2.0, (4, 16))]
)
def test_annotation_mask_tissue_patch_and_map_agree_to_the_pixel(tmp_path, target, levels):
    dark = write_boxes(tmp_path / "s.tif", 0.5, levels)
    slide = Slide(tmp_path / "s.tif", made_slides.square(0.5))
    ratio = int(target / 0.5)
    wanted = dark[::ratio, ::ratio]  # all boxes are multiples of 16 px
    cleaned = clean(read_annotations(write_asap(tmp_path / "a.xml")), LABELS, slide.size)
    rasterise(cleaned, slide.grid(target), LABELS, tmp_path / "labels.tif")
    np.testing.assert_array_equal(values_of(tmp_path / "labels.tif"), wanted)
    detect_tissue(slide, target, 0.0, 0.0, None, tmp_path / "tissue.tif")
    np.testing.assert_array_equal(values_of(tmp_path / "tissue.tif"), wanted)
    network = made_networks.looking_at(0, (target, 4 * target), 2, 38)
    found = segmented(network, slide, 180)
    np.testing.assert_array_equal(found == 1, wanted)
    with Mask.open(tmp_path / "labels.tif") as mask:
        table = draw_centres(mask, 20, np.random.default_rng(0))
        for x, y in zip(table["x"], table["y"], strict=True):
            view = read_views(slide, x, y, PatchSpec(24, 24, (target, 4 * target)))[0, ..., 0]
            np.testing.assert_array_equal(labels_around(mask, x, y, 24, target) == 1, view < 128)
            assert view[12, 12] == 0


def test_annotations_that_count_from_the_bounds_are_moved_by_them(tmp_path, monkeypatch):
    dark = write_boxes(tmp_path / "s.tif", 0.5)
    opened = openslide.OpenSlide

    class WithBounds(opened):
        @property
        def properties(self):
            return {**super().properties, "openslide.bounds-x": "21", "openslide.bounds-y": "13"}

    monkeypatch.setattr(openslide, "OpenSlide", WithBounds)
    slide = Slide(tmp_path / "s.tif", made_slides.square(0.5))
    shapes = read_annotations(write_asap(tmp_path / "a.xml", shift=(21, 13)))
    cleaned = clean(shapes, LABELS, slide.size, slide.bounds_offset)
    rasterise(cleaned, slide.grid(0.5), LABELS, tmp_path / "labels.tif")
    np.testing.assert_array_equal(values_of(tmp_path / "labels.tif"), dark)
    rasterise(clean(shapes, LABELS, slide.size), slide.grid(0.5), LABELS, tmp_path / "unmoved.tif")
    np.testing.assert_array_equal(values_of(tmp_path / "unmoved.tif")[:-13, :-21], dark[13:, 21:])
