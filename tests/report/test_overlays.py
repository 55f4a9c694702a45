from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hooknet.report.data import ReportClass, ReportOverlay
from hooknet.report.overlays import (
    bar_length,
    blend,
    colour,
    compose,
    compose_unsure,
    fitted,
    lay_over,
    legend,
    length_text,
    outline,
    ramp,
    shade,
    step_colours,
    steps,
    with_scale_bar,
)

PALETTE = {1: (200, 100, 0), 2: (0, 50, 250)}
CLASSES = (ReportClass("gland", 1, "#c86400"), ReportClass("stroma", 2, "#0032fa"))
LABELS = np.array([[0, 1, 1], [2, 2, 0]], np.uint8)


def test_labels_get_the_colours_of_the_palette_and_zero_is_transparent():
    found = colour(LABELS, PALETTE, alpha=9)
    assert found[0].tolist() == [[0, 0, 0, 0], [200, 100, 0, 9], [200, 100, 0, 9]]
    assert found[1].tolist() == [[0, 50, 250, 9], [0, 50, 250, 9], [0, 0, 0, 0]]


def test_a_value_without_a_colour_is_an_error():
    with pytest.raises(KeyError):
        colour(np.full((2, 2), 3, np.uint8), PALETTE)


def test_contours_run_inside_both_sides_of_a_border_and_around_what_is_labelled():
    labels = np.zeros((7, 9), np.uint8)
    labels[1:6, 1:4] = 1
    labels[1:6, 4:8] = 2
    drawn = outline(labels, PALETTE)[..., 3] > 0
    expected = [
        ".........",
        ".#######.",
        ".#.##..#.",
        ".#.##..#.",
        ".#.##..#.",
        ".#######.",
        ".........",
    ]
    assert ["".join("#" if one else "." for one in row) for row in drawn] == expected
    assert outline(labels, PALETTE)[1, 1].tolist() == [120, 60, 0, 255]


def test_a_uniform_picture_has_no_contour_not_even_at_its_edge():
    assert not outline(np.ones((5, 5), np.uint8), PALETTE).any()


@given(arrays(np.uint8, (6, 8), elements=st.integers(0, 2)), st.integers(1, 3))
def test_contours_turn_with_the_labels(labels, width):
    turned = outline(np.rot90(labels), PALETTE, width)
    assert (turned == np.rot90(outline(labels, PALETTE, width))).all()


def test_opacity_mixes_image_and_colour_and_leaves_the_unlabelled_alone():
    image = np.full((2, 3, 3), 100, np.uint8)
    mixed = lay_over(image, colour(LABELS, PALETTE), 0.25)
    assert mixed[0, 0].tolist() == [100, 100, 100]
    assert mixed[0, 1].tolist() == [125, 100, 75]


@given(arrays(np.uint8, (5, 6), elements=st.integers(0, 2)))
def test_a_blended_picture_keeps_the_tissue_where_nothing_is_labelled(labels):
    image = np.random.default_rng(1).integers(0, 256, (5, 6, 3), np.uint8)
    assert (blend(image, labels, PALETTE)[labels == 0] == image[labels == 0]).all()


@pytest.mark.parametrize(
    ("width", "spacing", "length", "text"),
    [
        (1000, 0.5, 100, "100 µm"),  # a quarter of 500 µm is 125
        (400, 2.0, 200, "200 µm"),  # limit 200, met exactly
        (1000, 32.0, 5000, "5 mm"),
        (10, 0.25, 0.5, "0.5 µm"),
    ],
)
def test_the_scale_bar_is_a_round_length_of_at_most_a_quarter_of_the_width(width, spacing, length, text):
    assert bar_length(width, spacing) == pytest.approx(length)
    assert length_text(bar_length(width, spacing)) == text


@given(st.integers(20, 5000), st.floats(0.1, 200))
def test_the_scale_bar_is_never_shorter_than_a_tenth_of_the_width(width, spacing):
    assert 0.1 - 1e-9 <= bar_length(width, spacing) / (width * spacing) <= 0.25 + 1e-9


def test_the_drawn_bar_has_the_length_it_says():
    picture = with_scale_bar(np.full((300, 400, 3), 120, np.uint8), 2.0)
    dark = (picture == 17).all(axis=2)
    assert dark.sum(axis=1).max() == 100  # 200 µm at 2 µm/px


def test_the_legend_breaks_into_rows_rather_than_leaving_the_strip():
    wide, narrow = legend(CLASSES, 400), legend(CLASSES, 90)
    assert (wide.shape, narrow.shape) == ((32, 400, 3), (64, 90, 3))
    for strip in (wide, narrow):
        assert {(200, 100, 0), (0, 50, 250)} <= {tuple(one) for one in strip.reshape(-1, 3).tolist()}


def overlay(height=300, width=400):
    labels = np.zeros((height, width), np.uint8)
    labels[height // 4 : height // 2, width // 4 : width // 2] = 1
    image = np.full((height, width, 3), 230, np.uint8)
    return ReportOverlay("s", image, 2.0, annotation=labels, predictions={"U-Net": labels})


def test_a_small_overlay_is_left_as_it_is():
    one = overlay()
    assert fitted(one, 400) is one


def test_a_large_overlay_shrinks_with_its_labels_and_its_spacing():
    small = fitted(overlay(), 100)
    assert small.image.shape == (75, 100, 3)
    assert small.spacing == 8.0
    where = np.argwhere(small.layers()["U-Net"])
    assert (where.min(axis=0).tolist(), where.max(axis=0).tolist()) == ([19, 25], [36, 49])
    assert set(np.unique(small.layers()["Annotation"])) == {0, 1}


def test_a_saved_panel_has_a_legend_only_when_it_shows_labels():
    assert compose(overlay(), "H&E", CLASSES).shape == (300, 400, 3)
    assert compose(overlay(), "U-Net", CLASSES).shape == (332, 400, 3)


def test_labels_of_another_size_than_the_image_are_refused():
    with pytest.raises(ValueError, match=r"s: U-Net is \(2, 3\) px, the image \(4, 4\) px"):
        ReportOverlay("s", np.zeros((4, 4, 3), np.uint8), 1.0, predictions={"U-Net": LABELS})


def test_speckle_has_no_contours_but_a_small_square_has():
    speckle = 1 + np.indices((40, 40)).sum(axis=0).astype(np.uint8) % 2
    assert not outline(speckle, {1: (10, 20, 30), 2: (40, 50, 60)}).any()
    square = np.zeros((40, 40), np.uint8)
    square[10:12, 10:12] = 1
    assert (outline(square, {1: (10, 20, 30)})[..., 3] > 0).sum() == 4


def test_entropy_is_shaded_from_dark_to_bright_and_nothing_is_transparent():
    found = shade(np.arange(256, dtype=np.uint8)[None])[0].astype(int)
    assert found[0, 3] == 0
    assert (found[1:, 3] == 255).all()
    light = found[1:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > -0.8).all()  # but for the rounding of three bytes
    assert light[0] < 30 < 200 < light[-1]


def test_entropy_is_rounded_to_steps_and_nothing_stays_nothing():
    # 254 / 32: a step is 7.9375 of the levels.
    found = steps(np.array([[0, 1, 4, 5, 9, 128, 255]], np.uint8))
    assert found.tolist() == [[0, 1, 1, 2, 2, 17, 33]]
    assert len(step_colours()) == 34


def test_the_ramp_has_the_colours_of_the_shades():
    values = np.array([1, 128, 255], np.uint8)
    assert [f"#{bytes(one[:3]).hex()}" for one in shade(values[None])[0]] == list(ramp(3))


def test_uncertainty_shrinks_with_its_slide():
    levels = np.zeros((300, 400), np.uint8)
    levels[:, 200:] = 9
    found = fitted(replace(overlay(), unsure={"U-Net": levels}), 100).unsure["U-Net"]
    assert found.shape == (75, 100)
    assert (found[:, :50] == 0).all()
    assert (found[:, 50:] == 9).all()
    with pytest.raises(ValueError, match=r"s: U-Net is \(2, 3\) px, the image \(300, 400\) px"):
        replace(overlay(), unsure={"U-Net": LABELS})


def test_saved_uncertainty_has_its_shades_and_a_legend_of_them():
    levels = np.full((300, 400), 255, np.uint8)
    levels[:150] = 0
    found = compose_unsure(replace(overlay(), unsure={"U-Net": levels}), "U-Net")
    assert found.shape == (332, 400, 3)
    assert (found[:150] == 230).all()  # nothing is predicted: the slide
    assert (found[160, 200] == shade(levels)[160, 200, :3]).all()
    strip = {tuple(one) for one in found[300:].reshape(-1, 3).tolist()}
    assert {tuple(bytes.fromhex(one[1:])) for one in (ramp()[0], ramp()[-1])} <= strip
