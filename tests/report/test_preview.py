import numpy as np
import pytest
from PIL import Image

from hooknet.coordinates import PatchSpec
from hooknet.report.data import ReportClass
from hooknet.report.overlays import blend
from hooknet.report.preview import draw, frames, panels, save, titles
from hooknet.training.preview import Preview, PreviewPatch, Sample

CLASSES = (ReportClass("gland", 1, "#c86400"), ReportClass("stro$ma", 2, "#0032fa"))
PALETTE = {one.value: one.rgb for one in CLASSES}
SPEC = PatchSpec(40, 12, (0.5, 2.0, 8.0))


def sample(seed):
    rng = np.random.default_rng(seed)
    views = tuple(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in SPEC.spacings)
    return Sample(views, rng.integers(0, 3, (12, 12), dtype=np.uint8))


def made(rows=2):
    patches = [PreviewPatch("s", 10.5, 20.0, "gland", sample(one), sample(one + 9)) for one in range(rows)]
    return Preview("a$run", SPEC, tuple(patches), False)


def test_panels_are_the_target_its_labelled_square_and_the_contexts():
    one = sample(3)
    target, labelled, near, far = panels(one, SPEC, PALETTE)
    np.testing.assert_array_equal(target, one.views[0])
    np.testing.assert_array_equal(near, one.views[1])
    np.testing.assert_array_equal(far, one.views[2])
    square = one.views[0][14:26, 14:26]
    np.testing.assert_array_equal(labelled, blend(square, one.labels, PALETTE))
    np.testing.assert_array_equal(labelled[one.labels == 0], square[one.labels == 0])
    assert (labelled[one.labels > 0] != square[one.labels > 0]).any()


def test_frames_are_where_the_target_lies_in_each_context():
    # 40 px: the target's 20 µm are 10 px of 2 µm and 2.5 px of 8 µm, around the middle at 20.
    assert frames(SPEC) == [(14.0, 12.0, "output"), None, (15.0, 10.0, "target"), (18.75, 2.5, "target")]


def test_titles_tell_spacings_and_fields_of_view():
    assert titles(PatchSpec(284, 70, (0.5, 8.0))) == [
        "target\n0.5 µm/px, 142 µm",
        "labels\n0.5 µm/px, 35 µm",
        "context\n8 µm/px, 2.272 mm",
    ]
    assert titles(SPEC, shuffled=True)[2] == "context of another\n2 µm/px, 80 µm"


def test_every_array_is_drawn_in_its_place():
    preview = made()
    figure = draw(preview, CLASSES)
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    wanted = [
        picture
        for patch in preview.patches
        for half in (patch.plain, patch.augmented)
        for picture in panels(half, SPEC, PALETTE)
    ]
    assert len(drawn) == len(wanted) == 16
    for one, other in zip(drawn, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    lefts = [round(axes.get_position().x0, 6) for axes in figure.axes]
    assert lefts[:8] == lefts[8:] == sorted(set(lefts))
    assert figure.axes[0].get_position().y0 > figure.axes[8].get_position().y1


def test_a_frame_is_drawn_around_the_very_pixels():
    figure = draw(made(1), CLASSES)
    boxes = [[one.get_bbox().bounds for one in axes.patches] for axes in figure.axes[:4]]
    # Pixel centres are at integers: the first pixel of 14..25 begins at 13.5.
    assert boxes == [[(13.5, 13.5, 12, 12)], [], [(14.5, 14.5, 10, 10)], [(18.25, 18.25, 2.5, 2.5)]]


def test_the_legend_names_all_classes_in_their_colours():
    legend = draw(made(1), CLASSES).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [
        "gland",
        r"stro\$ma",
        "what the target shows",
        "what is labelled and scored",
    ]
    faces = [one.get_facecolor() for one in legend.get_patches()]
    np.testing.assert_allclose(np.array(faces)[:, :3] * 255, [one.rgb for one in CLASSES], atol=0.51)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_same_picture_is_the_same_file(tmp_path, rows):
    for name in ("one.png", "two.png"):
        save(draw(made(rows), CLASSES), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size[0] > picture.size[1] > 300
    assert sorted(one.name for one in tmp_path.iterdir()) == ["one.png", "two.png"]
