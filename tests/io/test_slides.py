"""The self-test of alignment: slides whose pixels say where they are, read anywhere at any spacing."""

import concurrent.futures
import logging
import multiprocessing
import pickle
import threading
from pathlib import Path

import made_slides
import numpy as np
import openslide
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hooknet.coordinates import Spacing, Window
from hooknet.errors import SlideError
from hooknet.io import slide_file, slides
from hooknet.io.blocks import BlockCache
from hooknet.io.slides import COARSER_TOLERANCE, Slide

SIZE = (1003, 757)  # odd, so that every reduced level drops columns and rows
HALF = 60  # level-0 px: four grey levels a px
SLOPE = 240 / HALF
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "slides"

PYRAMIDS = {
    "one level": (),
    "1/2/4": ((2, False), (4, False)),
    "1/4/16": ((4, False), (16, False)),
    "1/4.02/8.09": ((4.02, True), (8.09, True)),
}


BY_BLOCKS = {f"{name}, by blocks": name for name in PYRAMIDS}
EVERY = [*PYRAMIDS, *BY_BLOCKS]
LIMIT = 1 << 20  # bytes of blocks kept: a few of them


@pytest.fixture(scope="module")
def image():
    return made_slides.coordinates_image(*SIZE, HALF)


@pytest.fixture(scope="module")
def pyramids(image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    opened = {}
    for number, (name, levels) in enumerate(PYRAMIDS.items()):
        made = tuple(made_slides.reduced(image, factor, resize) for factor, resize in levels)
        opened[name] = Slide(made_slides.write_slide(folder / f"{number}.tif", image, made, 0.2277))
    for name, of in BY_BLOCKS.items():
        opened[name] = Slide(opened[of].path, blocks=BlockCache(LIMIT))
    return opened


def edges(start, width, count):
    return start + np.arange(count + 1) * (width / count)


def wanted(image, window, size):
    """What a faultless reader returns, unrounded."""
    x, y = edges(window.x, window.width, size[0]), edges(window.y, window.height, size[1])
    return made_slides.area_image(image, x, y)


def near_the_border(window, size, margin):
    """Output pixels within ``margin`` level-0 px of the slide's border, where a reduced level is a blend."""
    near = []
    for start, width, count, length in zip(
        (window.x, window.y), (window.width, window.height), size, SIZE, strict=True
    ):
        at = edges(start, width, count)
        low, high = at[:-1], at[1:]
        near.append(
            ((low < margin) & (high > -margin)) | ((low < length + margin) & (high > length - margin))
        )
    return near[0][None, :] | near[1][:, None]


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=40)
@given(
    x=st.floats(-80, SIZE[0]),
    y=st.floats(-80, SIZE[1]),
    step=st.floats(1.0, 20.0),
    columns=st.integers(3, 60),
    rows=st.integers(3, 40),
)
@example(x=0.0, y=0.0, step=4.0, columns=60, rows=40)
@example(x=600.5, y=300.25, step=8.0, columns=30, rows=30)
@example(x=500.0, y=300.0, step=4.02, columns=60, rows=40)
@example(x=500.0, y=300.0, step=16.0, columns=20, rows=20)
def test_every_pixel_is_the_mean_of_the_tissue_it_covers(pyramids, image, name, x, y, step, columns, rows):
    slide = pyramids[name]
    window = Window(x, y, columns * step, rows * step)
    found = slide.read(window, (columns, rows)).astype(float)
    level = slide.levels[slide._level_for(step, step)]
    off = np.abs(found - wanted(image, window, (columns, rows)))
    inside = ~near_the_border(window, (columns, rows), 2 * level.step_x + 1)
    # Three roundings (level, OpenSlide, result), and a level px that holds a turning point of the wave.
    allowed = 0.55 if level.step_x == 1 else 1.6 + SLOPE * level.step_x / 4
    assert off[inside].max(initial=0) <= allowed
    # In position: far less than half a pixel of the view or of level 0.
    assert allowed / SLOPE < max(0.5, step / 2)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("step", [1.0, 1.7, 2.0, 3.99, 4.0, 4.02, 4.5, 8.09, 10.0, 16.0])
@pytest.mark.parametrize("right", [False, True])
def test_no_view_is_shifted_nor_scaled(pyramids, image, name, step, right):
    # The mean of many errors shows a shift that rounding hides in one; far from the origin it shows a scale.
    slide = pyramids[name]
    x, y = (727.3, 484.6) if right else (13.3, 7.7)
    columns, rows = int(220 / step), int(220 / step)
    window = Window(x, y, columns * step, rows * step)
    found = slide.read(window, (columns, rows)).astype(float)
    exact = wanted(image, window, (columns, rows))
    for channel, axis in ((0, 1), (1, 0)):
        # Least squares: by how many px the view must be moved to explain what is wrong with it.
        slope = np.gradient(exact[..., channel], axis=axis)
        error = (found - exact)[..., channel]
        shift = (error * slope).sum() / (slope * slope).sum()
        assert abs(shift) < 0.05 + 0.125 / step  # rounding takes half of four grey levels a level-0 px


@settings(max_examples=40)
@given(x=st.floats(-20, 300), y=st.floats(-20, 300), step=st.floats(0.953, 0.9995), count=st.integers(2, 50))
def test_a_view_slightly_finer_than_the_slide_is_interpolated_at_pixel_centres(
    pyramids, image, x, y, step, count
):
    found = pyramids["1/2/4"].read(Window(x, y, count * step, count * step), (count, count))
    centres = (np.arange(count) + 0.5) * step
    row = made_slides.centre_values(image[0, :, 0], x + centres)
    inside = (y + centres > 0.5) & (y + centres < SIZE[1] - 0.5)
    np.testing.assert_allclose(found[inside, :, 0], np.broadcast_to(row, (inside.sum(), count)), atol=0.55)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("step", [1.0, 0.97, 3.3, 4.0, 16.0])
def test_outside_the_slide_is_white(pyramids, name, step):
    slide = pyramids[name]
    for x, y in ((-2000.0, 10.0), (10.0, -2000.0), (5000.0, 10.0), (10.0, 5000.0), (-500.5, -500.5)):
        assert (slide.read(Window(x, y, 20 * step, 20 * step), (20, 20)) == 255).all()


def test_white_begins_exactly_where_the_slide_ends(pyramids, image):
    slide = pyramids["one level"]
    found = slide.read(Window(SIZE[0] - 3.0, SIZE[1] - 2.0, 6.0, 6.0), (6, 6))
    assert (found[:, 3:] == 255).all()
    assert (found[2:] == 255).all()
    np.testing.assert_array_equal(found[:2, :3], image[-2:, -3:])
    np.testing.assert_array_equal(slide.read(Window(-2.0, -1.0, 4.0, 4.0), (4, 4))[1:, 2:], image[:3, :2])


def test_pixels_half_outside_are_half_white(pyramids, image):
    found = pyramids["one level"].read(Window(-1.0, 100.0, 4.0, 2.0), (2, 1))
    mean = (2 * 255.0 + image[100:102, 0].astype(float).sum(axis=0)) / 4
    np.testing.assert_array_equal(found[0, 0], np.rint(mean))


PLACES = {
    "x": st.floats(-150, SIZE[0] + 20),
    "y": st.floats(-150, SIZE[1] + 20),
    "step": st.one_of(st.sampled_from([1.0, 2.0, 4.0, 8.0, 16.0, 0.97]), st.floats(1.0, 20.0)),
    "columns": st.integers(1, 90),
    "rows": st.integers(1, 60),
    "snapped": st.booleans(),
}


def window_at(x, y, step, columns, rows, snapped):
    """A window anywhere, or on the grid of every level."""
    corner = (x // 16 * 16, y // 16 * 16) if snapped else (x, y)
    return Window(*corner, columns * step, rows * step)


@pytest.mark.parametrize("name", PYRAMIDS)
@settings(max_examples=60)
@given(**PLACES)
def test_blocks_change_no_pixel_where_openslide_does_not_interpolate(
    pyramids, name, x, y, step, columns, rows, snapped
):
    plain, blocked = pyramids[name], pyramids[f"{name}, by blocks"]
    window = window_at(x, y, step, columns, rows, snapped)
    found, wanted = (slide.read(window, (columns, rows)) for slide in (blocked, plain))
    if plain.is_whole(plain._level_for(step, step)):
        np.testing.assert_array_equal(found, wanted)
    assert 0 <= blocked._blocks.bytes <= LIMIT


@pytest.mark.parametrize("name", PYRAMIDS)
@settings(max_examples=30)
@given(**PLACES)
def test_how_many_blocks_are_kept_changes_no_pixel(pyramids, name, x, y, step, columns, rows, snapped):
    window = window_at(x, y, step, columns, rows, snapped)
    wanted = pyramids[f"{name}, by blocks"].read(window, (columns, rows))
    anew = Slide(pyramids[name].path, blocks=BlockCache(0))
    np.testing.assert_array_equal(anew.read(window, (columns, rows)), wanted)
    anew.close()


def test_blocks_of_a_real_slide_change_no_pixel():
    path = real("CMU-1-Small-Region.svs")  # JPEG, tiles of 240 px, cut off at its right and bottom
    plain, blocked = Slide(path), Slide(path, blocks=BlockCache(LIMIT))
    for x, y, step in ((1000.3, 1400.8, 1.7), (2100.0, 2900.0, 1.0), (-50.0, 300.0, 2.0)):
        window = Window(x, y, 200 * step, 180 * step)
        np.testing.assert_array_equal(blocked.read(window, (200, 180)), plain.read(window, (200, 180)))


def test_a_window_read_again_is_not_decoded_again(pyramids, monkeypatch):
    slide = Slide(pyramids["1/4/16"].path, blocks=BlockCache(1 << 24))
    window = Window(100.3, 90.8, 600.0, 500.0)
    before = slide.read(window, (60, 50))
    monkeypatch.setattr(slide._file, "region", None)
    np.testing.assert_array_equal(slide.read(window, (60, 50)), before)


@given(arrays(np.uint8, (4, 5, 4), elements=st.one_of(st.integers(0, 255), st.sampled_from([0, 255]))))
def test_any_alpha_lies_over_white(region):
    share = region[..., 3:].astype(np.float32) / 255
    wanted = np.rint(region[..., :3] * share + 255 * (1 - share))
    np.testing.assert_array_equal(slide_file.over_white(region), wanted)


def test_unscanned_pixels_are_white_and_half_transparent_ones_lie_over_white():
    region = np.array([[[10, 20, 30, 255], [0, 0, 0, 0], [100, 0, 200, 51]]], np.uint8)
    assert slide_file.over_white(region).tolist() == [[[10, 20, 30], [255, 255, 255], [224, 204, 244]]]


@pytest.mark.parametrize("name", EVERY)
def test_a_window_read_in_strips_equals_one_read_at_once(pyramids, name, monkeypatch):
    slide = pyramids[name]
    for step in (1.0, 2.9, 4.1, 9.7):
        window = Window(31.7, 12.4, 60 * step, 50 * step)
        whole = slide.read(window, (60, 50)).astype(int)
        monkeypatch.setattr(slides, "MAX_PIXELS", 2000)
        strips = slide.read(window, (60, 50)).astype(int)
        monkeypatch.undo()
        # Where OpenSlide itself interpolates, each strip has its own rounding; elsewhere all is equal.
        limit = 0 if slide._level_for(step, step) == 0 else 1
        assert np.abs(strips - whole).max() <= limit


def test_strips_never_hold_more_pixels_than_they_may(pyramids, monkeypatch):
    monkeypatch.setattr(slides, "MAX_PIXELS", 5000)
    slide, seen = pyramids["one level"], []
    read = Slide._read_level
    monkeypatch.setattr(Slide, "_read_level", lambda self, *a: seen.append(a[3] * a[4]) or read(self, *a))
    slide.read(Window(0.0, 0.0, 400.0, 400.0), (100, 100))
    assert len(seen) > 10
    assert max(seen) <= 5000 + 2 * 400 * 4


def test_levels_that_drop_odd_rows_have_whole_steps_and_resized_ones_their_own(pyramids):
    steps = [level.step_x for level in pyramids["1/4/16"].levels]
    assert steps == [1.0, 4.0, 16.0]  # OpenSlide says 4.0013 and 16.14
    resized = pyramids["1/4.02/8.09"].levels[1]
    assert (resized.step_x, resized.step_y) == (1003 / 249, 757 / 188)


@pytest.mark.parametrize(
    ("step", "number"), [(1.0, 0), (1.99, 0), (1.9995, 1), (2.0, 1), (3.9, 1), (4.0, 2), (60.0, 2)]
)
def test_the_nearest_finer_level_is_read(pyramids, step, number):
    assert pyramids["1/2/4"]._level_for(step, step) == number
    assert pyramids["1/2/4"]._level_for(step, 1.0) == 0  # the finer axis decides


def test_pixels_that_are_not_square_are_read_to_square_ones(tmp_path, image):
    level = made_slides.reduced(image, 4)
    slide = Slide(made_slides.write_slide(tmp_path / "flat.tif", image, (level,), (0.25, 0.4)))
    assert slide.spacing.x == pytest.approx(0.25, rel=1e-6)
    assert slide.spacing.y == pytest.approx(0.4, rel=1e-6)
    for spacing in (0.5, 1.7):  # level 0, and the level of four to one
        grid = slide.grid(spacing)
        assert (grid.step_x, grid.step_y) == pytest.approx((spacing / 0.25, spacing / 0.4), rel=1e-6)
        window = grid.window(10, 20, 40, 30)
        found = slide.read(window, (40, 30)).astype(float)
        np.testing.assert_allclose(found, wanted(image, window, (40, 30)), atol=1.6 + SLOPE)


@pytest.mark.parametrize("spacing", [0.2277, 0.499, 0.62005, 1.0, 3.3])
def test_a_spacing_is_taken_as_it_is_and_never_snapped(tmp_path, spacing):
    path = made_slides.write_slide(
        tmp_path / "one.tif", made_slides.coordinates_image(90, 80, HALF), (), spacing
    )
    assert Slide(path).spacing.x == pytest.approx(spacing, rel=1e-8)
    asked = Slide(path, made_slides.square(spacing)).grid(2 * spacing)
    assert (asked.width, asked.height, asked.spacing) == (45, 40, 2 * spacing)


def test_a_slide_up_to_five_per_cent_coarser_is_interpolated_and_a_coarser_one_refused(pyramids):
    slide = pyramids["one level"]
    spacing = slide.spacing.x
    assert not slide.require(spacing)
    assert not slide.require(spacing * 1.3)
    assert slide.require(spacing / 1.049)
    with pytest.raises(SlideError) as caught:
        slide.require(spacing / 1.051)
    assert str(caught.value) == (
        f"{slide.path}: level 0 is at 0.2277 µm/px, more than 5% coarser than the wanted {spacing / 1.051:g}; "
        f"the finest possible spacing is {spacing / (1 + COARSER_TOLERANCE):.4g} µm/px"
    )
    with pytest.raises(SlideError):
        slide.grid(spacing / 2)


def test_the_finest_possible_spacing_that_a_refusal_names_is_accepted(pyramids):
    slide = pyramids["one level"]
    with pytest.raises(SlideError) as caught:
        slide.require(0.1)
    named = float(str(caught.value).split(" is ")[-1].split()[0])
    assert slide.require(named)


def test_the_coarser_axis_decides_whether_a_slide_is_fine_enough(pyramids):
    slide = Slide(pyramids["one level"].path, Spacing(0.25, 0.5))
    assert not slide.require(0.5)
    with pytest.raises(SlideError, match=r"0\.25 x 0\.5"):
        slide.require(0.25)


def test_an_override_counts_instead_of_what_the_file_says(pyramids):
    slide = Slide(pyramids["one level"].path, Spacing(0.6, 0.7))
    assert slide.spacing == Spacing(0.6, 0.7)
    assert slide.file_spacing.x == pytest.approx(0.2277)


def test_a_missing_spacing_is_an_error_that_names_the_override(tmp_path):
    path = made_slides.write_slide(
        tmp_path / "mute.tif", made_slides.coordinates_image(90, 80, HALF), (), None
    )
    with pytest.raises(SlideError) as caught:
        Slide(path)
    assert str(caught.value) == (
        f"{path}: the file does not say its spacing; set the slide's `spacing` in µm/px in the datasets file"
    )
    assert Slide(path, made_slides.square(0.5)).grid(1.0).width == 45


@pytest.mark.parametrize("spacing", [0.01, 352.8])
def test_a_spacing_no_tissue_has_is_an_error_that_names_the_override(tmp_path, spacing):
    path = made_slides.write_slide(
        tmp_path / "odd.tif", made_slides.coordinates_image(90, 80, HALF), (), spacing
    )
    with pytest.raises(SlideError, match=r"the file says .* wanted 0\.02\.\.50; set the slide's `spacing`"):
        Slide(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(SlideError) as caught:
        Slide(tmp_path / "none.svs")
    assert (
        str(caught.value)
        == f"{tmp_path}/none.svs: found no such file; correct the slide's path in the datasets file"
    )


def test_a_file_of_another_kind_is_one_line(tmp_path):
    path = tmp_path / "text.svs"
    path.write_text("no slide\n" * 100)
    with pytest.raises(SlideError, match="OpenSlide cannot open it") as caught:
        Slide(path)
    assert "\n" not in str(caught.value)


def real(name):
    path = REAL / name
    if not path.is_file():
        pytest.skip(f"{name} is not there: no folder shared/data/slides beside the project")
    return path


def test_a_slide_that_openslide_cannot_open_is_one_line():
    path = real("unopenable.tiff")
    with pytest.raises(SlideError, match="OpenSlide cannot open it") as caught:
        Slide(path)
    assert "\n" not in str(caught.value)


def test_a_slide_that_cannot_be_read_is_one_line_each_time():
    slide = Slide(real("unreadable.svs"), made_slides.square(0.5))
    for _ in range(2):
        with pytest.raises(
            SlideError, match=r"unreadable\.svs: level 0 cannot be read at \(0, 0\)"
        ) as caught:
            slide.read(Window(0.0, 0.0, 64.0, 64.0), (64, 64))
        assert "\n" not in str(caught.value)


def test_what_a_broken_handle_cannot_read_a_new_one_is_asked_for(pyramids, image, monkeypatch):
    slide = Slide(pyramids["one level"].path)
    broken = slide._file.handle()
    monkeypatch.setattr(
        broken, "read_region", lambda *_: (_ for _ in ()).throw(openslide.OpenSlideError("bad tile"))
    )
    np.testing.assert_array_equal(slide.read(Window(0.0, 0.0, 4.0, 4.0), (4, 4)), image[:4, :4])
    assert slide._file.handle() is not broken


def assert_in_place(found, wanted):
    """A px to any side makes the difference much larger, and alike to both sides."""
    off = np.abs(found - wanted).mean()
    for axis in (0, 1):
        one, other = (np.abs(found - np.roll(wanted, shift, axis=axis)).mean() for shift in (-1, 1))
        assert off < 0.6 * min(one, other)
        assert 0.8 < one / other < 1.25


def test_a_real_slide_shows_the_same_place_in_two_containers():
    # JPEG at another quality: the pixels differ a little, the place does not.
    one, other = Slide(real("CMU-1-Small-Region.svs")), Slide(real("generic_mpp0.499.tif"))
    window = Window(800.4, 1200.7, 611.0, 611.0)
    first, second = (slide.read(window, (300, 300)).astype(float) for slide in (one, other))
    assert_in_place(first, second)


def test_real_odd_downsamples_show_the_same_place():
    # Every level against level 0 averaged, which holds the boxes' sharp edges.
    slide = Slide(real("boxes.tiff"), made_slides.square(0.5))
    # OpenSlide says 4.016 and 8.09: halved time and again with the odd row dropped, as the pixels prove.
    assert [level.step_x for level in slide.levels] == [1.0, 2.0, 4.0, 8.0]
    base = slide.read(Window(0.0, 0.0, float(slide.size[0]), float(slide.size[1])), slide.size)
    for step in (2.1, 4.2, 8.2):
        size = (int(slide.size[0] // step), int(slide.size[1] // step))
        window = Window(0.0, 0.0, size[0] * step, size[1] * step)
        assert slide._level_for(step, step) > 0
        found = slide.read(window, size).astype(float)
        exact = made_slides.area_image(
            base, edges(0.0, window.width, size[0]), edges(0.0, window.height, size[1])
        )
        assert_in_place(found, exact)


def test_a_slide_can_be_pickled_and_reads_on(pyramids):
    slide = pyramids["1/2/4"]
    window = Window(10.5, 20.25, 90.0, 60.0)
    before = slide.read(window, (30, 20))
    copy = pickle.loads(pickle.dumps(slide))
    assert (copy.size, copy.levels, copy.spacing) == (slide.size, slide.levels, slide.spacing)
    np.testing.assert_array_equal(copy.read(window, (30, 20)), before)
    copy.close()
    np.testing.assert_array_equal(copy.read(window, (30, 20)), before)


def _read_in_child(slide, window, queue):
    inherited = slide._file._opened
    pixels = slide.read(window, (30, 20))
    queue.put((pixels, slide._file._opened is inherited))


def test_a_forked_process_opens_the_file_itself(pyramids):
    slide, window = pyramids["1/4/16"], Window(10.5, 20.25, 300.0, 200.0)
    before = slide.read(window, (30, 20))
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    children = [fork.Process(target=_read_in_child, args=(slide, window, queue)) for _ in range(2)]
    for child in children:
        child.start()
    for _ in children:
        pixels, shared = queue.get(timeout=30)
        np.testing.assert_array_equal(pixels, before)
        assert not shared
    for child in children:
        child.join()
        assert child.exitcode == 0
    np.testing.assert_array_equal(slide.read(window, (30, 20)), before)


def test_a_background_thread_reads_what_the_main_thread_reads(pyramids):
    slide, window = pyramids["1/2/4"], Window(33.0, 44.0, 200.0, 200.0)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        found = pool.submit(slide.read, window, (50, 50)).result()
    np.testing.assert_array_equal(found, slide.read(window, (50, 50)))


@pytest.mark.parametrize("name", ["1/4.02/8.09", "1/4.02/8.09, by blocks"])
def test_many_threads_read_one_slide_and_open_it_once(pyramids, name, monkeypatch):
    shared = Slide(pyramids[name].path, blocks=BlockCache(LIMIT) if "blocks" in name else None)
    windows = [
        Window(13.7 * n, 9.1 * n, 300.0 * step, 260.0 * step)
        for n, step in enumerate(np.tile((1.0, 4.5), 20).tolist())
    ]
    wanted = [pyramids[name].read(window, (60, 50)) for window in windows]
    shared.close()
    handles, opened = [], slide_file._open
    monkeypatch.setattr(slide_file, "_open", lambda path: handles.append(opened(path)) or handles[-1])
    start = threading.Barrier(8)

    def read(number):
        start.wait()
        return [shared.read(window, (60, 50)) for window in windows[number::8]]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(read, range(8))):
            np.testing.assert_array_equal(found, wanted[number::8])
    assert len(handles) == 1


def test_a_process_forked_while_another_thread_opens_a_slide_can_open_its_own(pyramids):
    # The child has no such thread, which would never let go of what it holds.
    slide, window = pyramids["one level"], Window(0.0, 0.0, 9.0, 9.0)
    fork = multiprocessing.get_context("fork")
    queue, held, go = fork.Queue(), threading.Event(), threading.Event()

    def hold():
        with slide_file._OPENING:
            held.set()
            go.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    threading.Timer(0.2, go.set).start()
    child = fork.Process(target=lambda: queue.put(slide.read(window, (9, 9))))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=30), slide.read(window, (9, 9)))
    child.join()
    thread.join()


def test_reading_says_nothing_and_changes_no_state(pyramids, caplog):
    slide = pyramids["1/2/4"]
    slide.read(Window(0.0, 0.0, 9.0, 9.0), (9, 9))
    state = pickle.dumps(slide)
    with caplog.at_level(logging.DEBUG, "hooknet"):
        slide.read(Window(5.5, 0.0, 99.0, 99.0), (9, 9))
    assert pickle.dumps(slide) == state
    assert not caplog.records


def test_bounds_are_taken_from_the_properties(pyramids, monkeypatch):
    path = pyramids["one level"].path
    assert Slide(path).bounds_offset == (0.0, 0.0)
    opened = openslide.OpenSlide

    class WithBounds(opened):
        @property
        def properties(self):
            return {**super().properties, "openslide.bounds-x": "120", "openslide.bounds-y": "37"}

    monkeypatch.setattr(openslide, "OpenSlide", WithBounds)
    assert Slide(path).bounds_offset == (120.0, 37.0)
