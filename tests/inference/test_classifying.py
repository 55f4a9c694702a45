import logging
import re
from dataclasses import replace

import made_slides
import made_stages
import numpy as np
import pytest

from hooknet.config.datasets import SlideSettings
from hooknet.coordinates import Window
from hooknet.errors import MaskError, SlideError
from hooknet.inference import classifying
from hooknet.inference.classifying import Classifying
from hooknet.inference.predictors import TorchPredictor
from hooknet.inference.whole_slide import MapFiles
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities
from hooknet.io.slides import Slide

WIDTH, HEIGHT = 403, 271


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOKNET_CACHE", str(tmp_path / "cache"))


def files(folder, **changed):
    return replace(MapFiles(folder / "map.tif", folder / "heat.tif", None, ()), **changed)


def waves(folder, spacing=0.5, levels=(), half=61):
    """A slide whose red is a function of x and green of y."""
    image = made_slides.coordinates_image(WIDTH, HEIGHT, half)
    reduced = tuple(made_slides.reduced(image, factor) for factor in levels)
    path = made_slides.write_slide(folder / "waves.tif", image, reduced, spacing)
    return SlideSettings(id="waves", slide=str(path), spacing=spacing)


def classified(folder, slide, run, **changed):
    """The heat map of class 2 and the map, as files have them."""
    Classifying(run, made_stages.RedPatches()).write(slide, files(folder, **changed))
    with Probabilities.open(folder / "heat.tif") as heat, Mask.open(folder / "map.tif") as mask:
        assert heat.grid == mask.grid
        assert heat.names == mask.names == made_stages.NAMES
        return heat.read_all(), mask.read(0, 0, mask.grid.width, mask.grid.height), heat.grid


@pytest.mark.parametrize(
    ("spacing", "wanted", "patch", "cell", "levels"),
    [
        (0.5, 1.0, 32, 32, ()),
        (0.5, 1.0, 32, 32, (2,)),
        (0.499, 1.0, 32, 32, ()),
        (0.499, 1.0, 40, 24, (2,)),
        (0.5, 1.0, 33, 16, ()),  # patches start at half a px
        (0.499, 1.3, 33, 20, (2,)),
        (0.25, 1.0, 40, 13, (2, 4)),
        (0.5, 0.5, 64, 64, ()),
        (0.5, 1.0, 500, 500, ()),  # one patch, larger than the slide
    ],
)
def test_the_heat_map_lies_on_the_cells_exactly(tmp_path, spacing, wanted, patch, cell, levels):
    run = made_stages.classifier_run(spacing=wanted, patch_size=patch, stride=cell)
    heat, labels, grid = classified(tmp_path, waves(tmp_path, spacing, levels), run)
    # In level-0 px: cells tile the slide from its corner; a patch has its cell's centre.
    step = cell * wanted / spacing
    columns = int(np.ceil(WIDTH / step - 1e-9))
    rows = int(np.ceil(HEIGHT / step - 1e-9))
    assert (grid.width, grid.height) == (columns, rows)
    assert grid.step_x == pytest.approx(step)
    centres = (np.arange(columns) + 0.5) * step
    half = patch * wanted / spacing / 2
    coarsest = max(levels, default=1)  # the level that is read: it has whole px of the slide only
    wide, high = WIDTH // coarsest * coarsest, HEIGHT // coarsest * coarsest
    wave = made_slides.wave(WIDTH, 61).astype(float)[:wide]
    inside_rows = (np.arange(rows) + 0.5) * step
    covered = [min(high, one + half) - max(0.0, one - half) for one in inside_rows]
    share = np.array(covered) / (2 * half)  # of the patch's rows; the others are white
    red = np.array([made_slides.area_means(wave, np.array([one - half, one + half]))[0] for one in centres])
    mean = share[:, None] * red + (1 - share[:, None]) * 255
    likely = 255 / (1 + np.exp(-8 * (mean / 255 - 0.5)))
    assert np.abs(heat[1] - likely).max() <= 1.6
    assert np.abs(heat.astype(int).sum(axis=0) - 255).max() <= 1
    sure = np.abs(likely - 127.5) > 2
    np.testing.assert_array_equal(labels[sure], (likely[sure] > 127.5) + 1)


def test_the_heat_map_is_that_of_patches_read_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr("hooknet.inference.patches.READ_SIZE", (150, 100))  # several reads, cut anywhere
    run = made_stages.classifier_run(patch_size=33, stride=14)
    slide = waves(tmp_path, 0.499)
    heat, _, grid = classified(tmp_path, slide, run)
    wanted = np.empty(heat.shape[1:])
    with Slide(slide.slide, slide.spacing_override) as opened:
        for row, column in np.ndindex(*wanted.shape):
            x, y = (column + 0.5) * grid.step_x, (row + 0.5) * grid.step_y
            side = 33 / 0.499
            patch = opened.read(Window(x - side / 2, y - side / 2, side, side), (33, 33))
            wanted[row, column] = 255 / (1 + np.exp(-8 * (patch[..., 0].mean() / 255 - 0.5)))
    assert np.abs(heat[1] - wanted).max() <= 0.51


def test_only_cells_of_enough_tissue_are_predicted(tmp_path):
    run = made_stages.classifier_run(infer={"over": "tissue", "min_tissue": 0.5})
    # Cells of 64 level-0 px; mask px of 16: four a side of a cell, the last column of cells reaches beyond.
    tissue = np.zeros((17, 26), np.uint8)
    tissue[0:2, 0:4] = 1  # half of cell (0, 0)
    tissue[0:4, 4:5] = 1  # a quarter of cell (0, 1)
    tissue[4:7, 8:11] = 1  # 9 of 16 of cell (1, 2)
    tissue[4:8, 24:26] = 1  # column 6 starts at px 384: half of it is on the mask
    tissue[16, 12:16] = 1  # the last row of cells starts at mask row 16: a quarter
    path = made_slides.write_mask(tmp_path / "t.tif", tissue, 16.0, 8.0)
    heat, labels, _ = classified(tmp_path, waves(tmp_path), run, tissue=path)
    assert heat.shape == (2, 5, 7)
    assert {(0, 0), (1, 2), (1, 6)} == set(map(tuple, np.argwhere(labels).tolist()))
    np.testing.assert_array_equal(labels > 0, heat.any(axis=0))


def test_a_tissue_mask_whose_px_do_not_divide_a_cell_counts_by_area(tmp_path):
    tissue = np.zeros((19, 28), np.uint8)  # px of 14.6 level-0 px: 4.38 a side of a cell
    tissue[:, :6] = 1  # to level-0 column 87.6: cell 0 whole, 23.6 / 64 = 0.369 of cell 1
    path = made_slides.write_mask(tmp_path / "t.tif", tissue, 14.6, 7.3)
    for least, columns in ((0.36, {0, 1}), (0.375, {0})):
        run = made_stages.classifier_run(infer={"over": "tissue", "min_tissue": least})
        _, labels, _ = classified(tmp_path, waves(tmp_path), run, tissue=path)
        assert set(np.argwhere(labels)[:, 1].tolist()) == columns


def test_cells_with_an_annotated_pixel_are_predicted_too(tmp_path):
    run = made_stages.classifier_run(infer={"over": "tissue"})
    nothing = made_slides.write_mask(tmp_path / "t.tif", np.zeros((17, 26), np.uint8), 16.0, 8.0)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[63, 64] = 2  # the last row of cell row 0, the first column of cell column 1
    labels[HEIGHT - 1, WIDTH - 1] = 1
    path = made_slides.write_mask(tmp_path / "l.tif", labels)
    heat, found, _ = classified(tmp_path, waves(tmp_path), run, tissue=nothing, labels=(path,))
    assert not heat.any()  # a refiner must not see where somebody annotated
    assert set(map(tuple, np.argwhere(found).tolist())) == {(0, 1), (4, 6)}


def test_over_a_mask_of_the_users(tmp_path):
    run = made_stages.classifier_run(infer={"over": "mask"})
    own = np.zeros((HEIGHT, WIDTH), np.uint8)
    own[70:120, 3:60] = 1  # 50 x 57 of the 64 x 64 px of cell (1, 0)
    path = made_slides.write_mask(tmp_path / "own.tif", own)
    slide = waves(tmp_path).model_copy(update={"infer_mask": str(path)})
    _, found, _ = classified(tmp_path, slide, run)
    assert set(map(tuple, np.argwhere(found).tolist())) == {(1, 0)}


def test_nothing_to_predict_is_an_empty_map_and_told(tmp_path, caplog):
    run = made_stages.classifier_run(infer={"over": "tissue"})
    path = made_slides.write_mask(tmp_path / "t.tif", np.zeros((17, 26), np.uint8), 16.0, 8.0)
    heat, labels, _ = classified(tmp_path, waves(tmp_path), run, tissue=path)
    assert not heat.any()
    assert not labels.any()
    assert "waves: nothing was to be predicted, the map is empty" in caplog.text


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_batches_of_any_size_give_one_heat_map(tmp_path, monkeypatch, engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    found = []
    for batch in (1, 5, 16):
        monkeypatch.setitem(classifying.BATCH, "cpu", batch)
        run = made_stages.classifier_run(infer={"over": "everything", "engine": engine})
        found.append(classified(tmp_path, waves(tmp_path), run)[0])
    assert np.abs(found[0].astype(int) - found[1]).max() <= 1
    assert np.abs(found[0].astype(int) - found[2]).max() <= 1
    assert np.ptp(found[0][1]) > 150


def test_little_memory_makes_batches_small(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setitem(classifying.BATCH, "cpu", 16)
    run = made_stages.classifier_run(infer={"over": "everything", "engine": "torch"})
    start = TorchPredictor.start
    monkeypatch.setattr(
        TorchPredictor, "start", lambda self, inputs: sizes.append(len(inputs[0])) or start(self, inputs)
    )
    for memory in (0, 1 << 40):
        Classifying(run, made_stages.RedPatches(), memory).write(waves(tmp_path), files(tmp_path))
    assert sizes[:35] == [1] * 35  # 7 x 5 cells
    assert sizes[35:] == [16, 16, 3]


def test_masks_of_other_slides_are_refused_and_nothing_is_left(tmp_path):
    slide = waves(tmp_path)
    other = made_slides.write_mask(tmp_path / "t.tif", np.ones((17, 20), np.uint8), 16.0, 8.0)
    run = made_stages.classifier_run(infer={"over": "tissue"})
    with pytest.raises(MaskError, match="the rasters belong to different slides"):
        classified(tmp_path, slide, run, tissue=other)
    near = made_slides.write_mask(tmp_path / "t.tif", np.ones((HEIGHT, WIDTH - 40), np.uint8))
    with pytest.raises(
        MaskError, match="the rasters belong to different slides"
    ):  # though by less than a cell
        classified(tmp_path, slide, run, tissue=near)
    with pytest.raises(MaskError, match="found no tissue mask; give --tissue"):
        classified(tmp_path, slide, run)
    assert sorted(one.name for one in tmp_path.glob("*.tif")) == ["t.tif", "waves.tif"]


def test_a_slide_too_coarse_is_refused(tmp_path):
    run = made_stages.classifier_run(spacing=0.4)
    with pytest.raises(SlideError, match="finest possible spacing"):
        classified(tmp_path, waves(tmp_path), run)
    assert [one.name for one in tmp_path.glob("*.tif")] == ["waves.tif"]


def test_a_failure_on_the_way_leaves_nothing_behind(tmp_path, monkeypatch):
    read = Slide.read

    def broken(self, window, size):
        if window.y > 100:
            raise SlideError("damaged")
        return read(self, window, size)

    monkeypatch.setattr(Slide, "read", broken)
    monkeypatch.setattr("hooknet.inference.patches.READ_SIZE", (64, 64))
    with pytest.raises(SlideError, match="damaged"):
        classified(tmp_path, waves(tmp_path), made_stages.classifier_run())
    assert [one.name for one in tmp_path.iterdir()] == ["waves.tif"]


def test_an_interrupt_leaves_what_was_there(tmp_path, monkeypatch):
    slide = waves(tmp_path)
    before = classified(tmp_path, slide, made_stages.classifier_run())
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.tif")}
    start, calls = TorchPredictor.start, []

    def interrupted(self, inputs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return start(self, inputs)

    monkeypatch.setattr(TorchPredictor, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        classified(tmp_path, slide, made_stages.classifier_run(stride=16))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert before[0].any()


def test_what_was_predicted_is_told(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "hooknet"):
        _, labels, _ = classified(tmp_path, waves(tmp_path), made_stages.classifier_run())
    ones = (labels == 1).mean()
    assert f"waves: predicted 35 patches: stroma {ones:.1%}, tumour {1 - ones:.1%}" in caplog.text
    assert re.search(r"waves: a patch of 32 px every 32 px; 35 patches in [\d.]+ s: read", caplog.text)
    lines = re.findall(r"waves: (\d+) of 35 patches", caplog.text)
    assert lines[-1] == "35"
    assert len(lines) <= 10
