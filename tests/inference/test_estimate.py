import made_runs
import made_slides
import numpy as np
import pytest

from hooknet.inference import estimate
from hooknet.inference.dense import Segmenting
from hooknet.inference.estimate import Speed, borders, measure_speed, regions, work_of
from hooknet.inference.plan import Plan, make_plan
from hooknet.inference.regions import Wanted
from hooknet.io.slides import Slide
from hooknet.training.weights import new_network

RUN = made_runs.make_run(
    model="unet", spacings=(0.5,), patch_size=76, network={"filters": 8, "depth": 2, "convolutions": 2},
    infer={"tile": 200, "engine": "torch"},
)  # fmt: skip


def test_sides_and_parts_are_counted():
    labels = np.array([[1, 1, 2], [1, 0, 2], [2, 0, 2]], np.uint8)
    # Across: 1|2, 1|0, 0|2, 2|0, 0|2; down: 1|0 in the middle, 1|2 on the left.
    assert borders(labels) == 7
    assert regions(labels) == 3
    assert borders(np.ones((5, 4), np.uint8)) == 0
    assert regions(np.zeros((5, 4), np.uint8)) == 0


def test_work_is_that_of_the_tiles():
    shape = RUN.network.shape
    tile = shape.tile(200)
    work = work_of(shape, Plan(tile, ((0, 0), (0, 100), (100, 0))), 1e4)
    assert (work.tiles, work.pixels) == (3, 1e4)
    assert work.operations == 3 * shape.tile_work(tile)
    assert work.read == 3 * tile.sizes[0] ** 2


def test_time_and_size_are_work_by_speed():
    work = estimate.Work(tiles=10, operations=4e9, read=2e6, pixels=1e6)
    speed = Speed("any", operations=2e9, read=1e6, start=0.5, map_bytes=0.1, borders=0.05, regions=0.001)
    outlines = 1e6 * 0.05 * estimate.BORDER_SECONDS
    assert speed.seconds(work) == pytest.approx(estimate.BESIDES + 0.5 + 2 + 2 + outlines)
    each = 0.1 + 0.05 * estimate.BORDER_BYTES + 0.001 * estimate.REGION_BYTES
    assert speed.size(work) == pytest.approx(1e6 * each)
    assert speed.seconds(estimate.Work(0, 0, 0, 0)) == estimate.BESIDES


def test_speed_is_measured_on_tiles_of_the_slide(noise_slide):
    network = new_network(RUN).eval()
    with Slide(str(noise_slide[0]), made_slides.square(0.5)) as opened:
        grid, wanted = opened.grid(0.5), Wanted(None)
        plan = make_plan(network.shape, grid, wanted, lambda tile: True, 200)
        speed = measure_speed(RUN, [network], Segmenting(opened, (0.5,), wanted, plan))
    assert speed.engine == "torch on cpu, fp32"
    work = work_of(network.shape, plan, grid.width * grid.height)
    # How long it takes is for the benchmarks: here only that all that is wanted was measured.
    assert min(speed.operations, speed.read) > 0
    assert speed.seconds(work) > estimate.BESIDES
    assert 0 < speed.borders < 2


def test_tiles_that_are_tried_are_small(monkeypatch):
    shape = RUN.network.shape
    planned = shape.tile(2000)
    monkeypatch.setattr(estimate, "TRIED", shape.tile_work(shape.tile(300)))
    assert estimate._tried(shape, planned, None) == shape.tile(300)
    monkeypatch.setattr(estimate, "TRIED", 1)
    assert estimate._tried(shape, planned, None) == next(iter(shape.tiles()))
