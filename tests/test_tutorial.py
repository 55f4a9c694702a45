"""docs/tutorial.md: each of its commands and files, as a reader types them."""

import re
import xml.etree.ElementTree as ET

import made_commands
import numpy as np
import pandas as pd
import pytest
import tifffile
from made_commands import wrong
from made_tutorial import GLAS_SECTION, PAGE, blocks, lay_out, lines, run
from made_workflow import ROOT, jobs
from PIL import Image
from snakemake.cli import get_argument_parser

from hooknet.config.project import load_project

SHARED = ROOT.parent / "shared"
STUDY = [block for block in blocks() if not block.of_glas]
COMMANDS = [line for block in blocks() if block.language == "bash" for line in lines(block)]
# Five classes at random, whatever their shares, have a macro F1 of at most a fifth; one class everywhere, of less.
CHANCE = 0.2
CLASSES = ("stroma", "fat", "in_situ", "invasive", "lymphoid")


def test_every_block_is_of_a_kind_that_is_looked_at():
    assert {block.language for block in blocks()} == {"bash", "yaml", "text"}
    assert all(block.file for block in blocks() if block.language == "yaml")
    assert [block.file.removeprefix("config/") for block in STUDY if block.file] == [
        "drawn_datasets.yaml", "drawn_experiments.yaml", "datasets.yaml", "experiments.yaml", "search.yaml",
    ]  # fmt: skip
    assert GLAS_SECTION in PAGE.read_text(encoding="utf-8")


def test_every_command_and_option_exists():
    ours = [line for line in COMMANDS if line.startswith("hooknet ")]
    assert {line.split()[1] for line in ours} >= {"check", "describe", "preview-batch", "predict", "view"}
    assert [(line, found) for line in ours if (found := wrong(line))] == []
    assert wrong("hooknet predict a --modle b") == ["--modle"]
    assert wrong("hooknet fortell a") == ["fortell"]


def test_snakemake_takes_every_line():
    ours = [line.replace("$HOOKNET", str(ROOT)) for line in COMMANDS if line.startswith("snakemake ")]
    assert len(ours) >= 4
    for line in ours:
        taken = get_argument_parser().parse_args(line.split()[1:])
        assert taken.cores == 2


def test_the_sheet_and_every_pair_of_files_load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    for block in STUDY:
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        elif sheet := re.search(r"cat > (\S+) <<'END'\n(.*?)^END$", block.text, re.MULTILINE | re.DOTALL):
            (tmp_path / sheet[1]).write_text(sheet[2], encoding="utf-8")
    study = load_project("config/datasets.yaml", "config/experiments.yaml")
    assert (len(study.dataset("study").slides), study.dataset("study").label_map.names) == (10, CLASSES)
    assert {name: one.spacings for name, one in study.experiments.items()} == {
        "unet_1": (1.0,),
        "hooknet_1_8": (1.0, 8.0),
    }
    search = load_project("config/datasets.yaml", "config/search.yaml").search("fields")
    assert search.settings.spacings == (1.0, 2.0, 8.0)
    drawn = load_project("config/drawn_datasets.yaml", "config/drawn_experiments.yaml").dataset("drawn")
    assert {one.id for one in drawn.slides} == {one.id for one in study.dataset("study").slides} | {"new1"}


def test_every_setting_it_names_exists():
    named = made_commands.named_keys(PAGE)
    assert {"network", "seeds"} <= named
    assert named - made_commands.keys() == set()


def macro_f1(found, truth):
    """The mean F1 of the classes of the truth, over its pixels that are not 0."""
    known = truth > 0
    scores = []
    for value in range(1, len(CLASSES) + 1):
        true, said = truth == value, (found == value) & known
        scores.append(2 * (true & said).sum() / (true.sum() + said.sum()))
    return np.mean(scores)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The study's folder once all but the section about GlaS was done, and what each block printed."""
    place = lay_out(tmp_path_factory.mktemp("tutorial"))
    said = run(place, STUDY)
    return place.parent / "study", said


@pytest.mark.slow
def test_commands_print_what_the_page_shows(done):
    _, said = done
    shown = [number for number, block in enumerate(STUDY) if block.language == "text"]
    assert len(shown) == 4
    for number in shown:
        for line in STUDY[number].text.splitlines():
            assert line.strip() in said[number - 1], (number, line, said[number - 1])


@pytest.mark.slow
def test_viewer_served_the_slides(done):
    _, said = done
    (viewed,) = [said[number] for number, block in enumerate(STUDY) if block.text.startswith("hooknet view")]
    assert re.search(r"study: 10 slides at http://127\.0\.0\.1:\d+/", viewed)
    assert int(re.search(r"served (\d+) bytes", viewed)[1]) > 1000


@pytest.mark.slow
def test_scores_are_beyond_chance_and_context_tells_the_duct(done):
    folder, said = done
    scores = pd.read_csv(folder / "results/report/study/tables/scores.csv").set_index(["system", "class"])[
        "f1"
    ]
    assert scores["unet_1", "macro"] > 2 * CHANCE
    assert scores["hooknet_1_8", "macro"] > 3 * CHANCE
    assert scores["hooknet_1_8", "in_situ"] > scores["unet_1", "in_situ"] + 0.2
    claims = pd.read_csv(folder / "results/report/study/tables/claims.csv")
    assert "no p below 0.25 can be reached" in claims["claim"][0]
    quoted = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8").replace("\n>", ""))
    assert claims["claim"][0] in quoted
    curves = pd.read_csv(folder / "results/runs/hooknet_1_8/metrics.csv")
    assert list(curves["epoch"]) == [1, 2, 3, 4]
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[0]
    assert any("validation_macro_f1" in text for text in said.values())


@pytest.mark.slow
def test_maps_and_exports_hold_every_class(done):
    folder, _ = done
    for run_name in ("unet_1", "hooknet_1_8"):
        for slide in ("s01", "s02", "s07"):
            values = tifffile.imread(folder / f"results/runs/{run_name}/maps/{slide}.tif")
            assert values.shape == (1024, 1024)
            assert (values > 0).mean() > 0.5
            for suffix in ("geojson", "xml"):
                outlines = folder / f"results/runs/{run_name}/exports/{slide}.{suffix}"
                text = outlines.read_text(encoding="utf-8")
                assert [
                    name for value, name in enumerate(CLASSES, 1) if value in values and name not in text
                ] == []
    assert (folder / "s01.tif").stat().st_size > 10_000
    assert 0 < (folder / "s01.geojson").read_text().count('"Polygon"') < 100
    with Image.open(folder / "results/runs/hooknet_1_8/preview.png") as preview:
        assert min(preview.size) > 300


@pytest.mark.slow
def test_the_figures_are_drawn(done):
    folder, _ = done
    paper = folder / "paper"
    assert {path.name for path in paper.iterdir()} == {
        "figure_1a.svg", "figure_1b.svg", "table_1.csv", "model_card.md", "overlay_01_s01_00_h-e.png",
        "overlay_01_s01_01_annotation.png", "overlay_01_s01_02_unet-1.png", "overlay_01_s01_03_hooknet-1-8.png",
    }  # fmt: skip
    for figure in paper.glob("*.svg"):
        tree = ET.fromstring(figure.read_text(encoding="utf-8"))
        assert len([one for one in tree.iter() if one.tag.endswith("}path")]) > 20
    for picture in paper.glob("*.png"):
        with Image.open(picture) as image:
            assert np.asarray(image.convert("RGB")).std() > 10
    assert "hooknet(1, 8 µm/px)" in (paper / "model_card.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_new_slide_is_predicted_as_it_is(done):
    folder, _ = done
    found = tifffile.imread(folder / "predicted/new1/map.tif")
    truth = tifffile.imread(folder / "data/truth/new1.tif")
    assert macro_f1(found, truth) > 2.5 * CHANCE
    areas = pd.read_csv(folder / "predicted/new1/areas.csv").set_index("class")["area_mm2"]
    for value, name in enumerate(CLASSES, start=1):
        assert areas[name] == pytest.approx((found == value).sum() * 1e-6, abs=1e-9)
    assert "new1" in (folder / "predicted/index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_is_done_is_not_done_again(done):
    folder, _ = done
    assert jobs(folder) == {}


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "data" / "glas").is_dir(), reason="needs ../shared/data/glas")
def test_the_same_on_glas(tmp_path):
    place = lay_out(tmp_path, SHARED)
    run(place, [block for block in blocks() if block.of_glas])
    scores = pd.read_csv(place / "results/report/glas/tables/scores.csv")
    macro = scores[scores["class"] == "macro"]
    assert len(macro) == 2
    # So few steps teach one of them something; of three classes guessing has a third.
    assert 0.36 < macro["f1"].max() < 1
    intervals = pd.read_csv(place / "results/report/glas/tables/intervals.csv")
    assert ((intervals["low"] <= intervals["f1"]) & (intervals["f1"] <= intervals["high"])).all()
    values = tifffile.imread(place / "results/predicted/CMU-1-Small-Region/map.tif")
    assert (values > 0).mean() > 0.2
