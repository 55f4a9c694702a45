import json
import re
import tomllib
from pathlib import Path

import made_view
import numpy as np
import pytest
from PIL import Image

from hooknet.errors import SlideError
from hooknet.viewer import static
from hooknet.viewer.page import FILES
from hooknet.viewer.static import write_static


def told(page):
    text = page.with_name("data.js").read_text()
    return json.loads(text.removeprefix("window.HOOKNET = ").rstrip().removesuffix(";"))


def opened(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_pictures_of_all_layers_have_the_same_px(viewed, tmp_path, monkeypatch):
    """Level 0 halved until it fits: 1500 x 1100 px are 750 x 550."""
    monkeypatch.setattr(static, "LONGEST_SIDE", 800)
    page = write_static(viewed, tmp_path / "viewer", slides=["a"])
    assert page == tmp_path / "viewer" / "index.html"
    folder = page.parent / "slides" / "0"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "diff-0.png",
        "diff-1.png",
        "he.jpg",
        "labels.png",
        "map-0.png",
        "map-1.png",
        "truth.png",
    ]
    left, top, right, bottom = (side // 2 for side in made_view.BOX)
    for name in ("he.jpg", "labels.png", "truth.png"):
        image = opened(folder / name)
        assert image.shape == (550, 750, 3)
        inside = np.zeros(image.shape[:2], bool)
        inside[top:bottom, left:right] = True
        # Class 2 is green, and the box of the H&E dark: both have less red than what is around them.
        assert np.array_equal(image[..., 0] < 140, inside), name
    assert told(page)["facts"][0] | {"areas": None} == {
        "size": [1500, 1100], "spacing": [0.5, 0.5], "tile": 256, "first": 8, "last": 11,
        "world": 1500, "step": 2, "areas": None,
    }  # fmt: skip


def test_the_last_px_may_reach_beyond_the_slide(viewed, tmp_path, monkeypatch):
    """1500 x 1100 px in px of 8 are 188 x 138, whose width spans 1504."""
    monkeypatch.setattr(static, "LONGEST_SIDE", 200)
    page = write_static(viewed, tmp_path, slides=["a"])
    assert opened(tmp_path / "slides" / "0" / "he.jpg").shape == (138, 188, 3)
    assert (told(page)["facts"][0]["world"], told(page)["facts"][0]["step"]) == (1504, 8)


def test_it_takes_the_chosen_slides_and_writes_the_same_again(viewed, tmp_path):
    chosen = ["a", made_view.HOSTILE_SLIDE]
    page = write_static(viewed, tmp_path, slides=chosen)
    assert [one["id"] for one in told(page)["slides"]] == chosen
    assert set(told(page)["facts"][0]["areas"]) == {"labels", "truth", "map-0", "map-1"}
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    write_static(viewed, tmp_path, slides=chosen)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first


def test_pictures_that_are_no_longer_shown_are_removed(viewed, tmp_path):
    write_static(viewed, tmp_path, slides=["a", made_view.HOSTILE_SLIDE])
    write_static(viewed, tmp_path, slides=[made_view.HOSTILE_SLIDE])
    pictures = [
        path.relative_to(tmp_path).as_posix() for path in (tmp_path / "slides").rglob("*") if path.is_file()
    ]
    assert pictures == ["slides/0/he.jpg"]


def test_every_file_of_the_page_is_in_the_package():
    root = Path(__file__).parents[2]
    setuptools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setuptools["package-data"]["hooknet"]
    packed = {path for one in patterns for path in (root / "hooknet").glob(one)}
    files = {path for path in (root / "hooknet" / "viewer").rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} <= packed
    scripts = re.findall(r'(?:src|href)="([^":]+)"', (root / "hooknet/viewer/assets/index.html").read_text())
    assert set(scripts) == set(FILES) - {"index.html", "openseadragon-license.txt"} | {"data.js"}


def test_a_slide_that_cannot_be_read_is_one_line(viewed, tmp_path):
    with pytest.raises(SlideError, match=r"broken\.tif"):
        write_static(viewed, tmp_path)
