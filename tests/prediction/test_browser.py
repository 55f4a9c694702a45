"""The page of new slides as a reader has it: opened from the disk, in a browser."""

import browser
import made_runs
import numpy as np
import pytest

from hooknet.models.checkpoint import save_checkpoint
from hooknet.objects.quantities import TISSUE, Quantity
from hooknet.prediction.model import open_model
from hooknet.prediction.page import LAYER, Page, Shown, write_page
from hooknet.report.data import ReportOverlay
from hooknet.training.weights import checkpoint_spec, new_network


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predicted")
    run = made_runs.make_run()
    save_checkpoint(folder / "best.ckpt", new_network(run), checkpoint_spec(run, ()))
    labels = np.ones((300, 400), np.uint8)
    labels[:100] = 2
    slides = []
    for name, area in (("b2", 0.2), ("a10", 0.9), ("a9", 0.4)):
        areas = {key: Quantity(area, 0.5, 1, 1.0, area, area) for key in ("one", "two", TISSUE)}
        overlay = ReportOverlay(name, np.full((300, 400, 3), 220, np.uint8), 4.0, predictions={LAYER: labels})
        slides.append(Shown(overlay, areas, ("unlike",) if name == "b2" else (), f"{name}/index.html"))
    return write_page(folder, Page(open_model(folder / "best.ckpt"), tuple(slides), {"c": "torn"}))


@pytest.fixture(scope="module")
def chromium():
    with browser.opened() as opened:
        yield opened


def test_it_opens_sorts_and_enlarges_in_light_and_dark(chromium, page):
    papers = set()
    for dark in (False, True):
        chromium.look(dark=dark)
        chromium.open(page)
        assert chromium.console() == []
        papers.add(chromium.script("return getComputedStyle(document.body).backgroundColor"))
        shown = chromium.script(
            "return [...document.querySelectorAll('.stack')].map(one => [one.clientWidth, one.clientHeight])"
        )
        assert len(shown) == 6
        assert all(abs(width / height - 4 / 3) < 0.02 and width > 200 for width, height in shown)
    assert papers == {"rgb(255, 255, 255)", "rgb(22, 22, 28)"}
    chromium.script("document.querySelectorAll('#areas th button')[1].click()")
    rows = "return [...document.querySelectorAll('#areas tbody tr')].map(one => one.cells[0].textContent)"
    assert chromium.script(rows) == ["b2", "a9", "a10"]
    chromium.script("document.querySelector('.stack').click()")
    assert chromium.script("return document.getElementById('closer').open")
    # Nothing is wider than the window.
    assert chromium.script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_the_bar_of_shares_is_full(chromium, page):
    chromium.open(page)
    widths = chromium.script(
        "return [...document.querySelectorAll('.shares')].map(one => [...one.children]"
        ".map(part => part.getBoundingClientRect().width / one.getBoundingClientRect().width))"
    )
    for parts in widths:
        assert parts == pytest.approx([0.5, 0.5], abs=0.01)
