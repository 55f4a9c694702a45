"""Steps of a slide that cannot be used, where slides are skipped."""

import inspect
import json
import shutil
from pathlib import Path

import made_config
import pandas as pd
import pytest
import yaml
from made_cohort import FILES, REPORT, RUN, SLIDES, hooknet, refuse, snapshot, step
from typer import Typer
from typer.main import get_command

from hooknet.cli import main
from hooknet.cli.skipping import OUTPUTS, skippable
from hooknet.config.datasets import DatasetSettings
from hooknet.errors import CheckpointError, ConfigError, DiskError, HookNetError, SlideError
from hooknet.io.skipped import START, VARIABLE, reason_in, write_reason
from hooknet.io.skipped_slides import _whole_volumes
from hooknet.report.notices import without_folders

WHY = "check-slide: x.svs: cannot be read"


@pytest.fixture
def skipping(monkeypatch):
    monkeypatch.setenv(VARIABLE, "skip")


def test_every_output_of_a_step_that_skips_is_one_of_its_options():
    commands = get_command(main.app).commands
    for name, names in OUTPUTS.items():
        command = commands[name.replace("_", "-")]
        options = {one.name: one for one in command.params}
        assert set(names) <= set(options), name
        # Whatever a step writes it says so in its help, and nothing else.
        writes = {
            one.name
            for one in command.params
            if " to write" in (one.help or "") or "to put" in (one.help or "")
        }
        assert writes - {"input", "format"} <= set(names), name


def test_a_step_that_is_not_of_one_slide_is_as_it_was():
    def run() -> None: ...

    assert skippable("train", run) is run


@pytest.mark.parametrize("kind", [ConfigError, CheckpointError, DiskError, HookNetError, OSError])
def test_what_is_not_the_slides_own_fault_is_raised(tmp_path, skipping, kind):
    def run(output) -> None:
        raise kind("wrong settings")

    with pytest.raises(kind):
        skippable("check_slide", run)(output=tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()


def test_a_reason_is_one_line_whatever_the_error_says(tmp_path, skipping):
    def run(output, probabilities) -> None:
        raise SlideError("two\nlines")

    skippable("infer", run)(output=tmp_path / "a.tif", probabilities=None)
    assert (tmp_path / "a.tif").read_text() == f"{START}infer: two lines\n"
    assert reason_in(tmp_path / "a.tif") == "infer: two lines"


def test_options_keep_their_meaning():
    def run(output: int = 3) -> None: ...

    wrapped = skippable("check_slide", run)
    assert inspect.signature(wrapped) == inspect.signature(run)
    app = Typer()
    app.command()(wrapped)


@pytest.mark.parametrize("text", [b"", b"hooknet", START.encode()[:-1], b"II*\x00", START.upper().encode()])
def test_other_files_say_no_reason(tmp_path, text):
    (tmp_path / "a").write_bytes(text)
    assert reason_in(tmp_path / "a") is None
    assert reason_in(tmp_path) is None
    assert reason_in(tmp_path / "none") is None


def test_what_an_earlier_step_skipped_is_handed_on_and_else_refused(cohort, monkeypatch):
    write_reason(cohort / "skipped.tif", WHY)
    arguments = ("quantify", "--slide", "a", "--map", "skipped.tif", "--output", "areas.csv")
    assert refuse(*arguments) == (
        f"skipped.tif: found that its slide was skipped ({WHY}); correct it, then make it again"
    )
    monkeypatch.setenv(VARIABLE, "skip")
    assert hooknet(*arguments).status == 0
    assert reason_in(cohort / "areas.csv") == WHY


@pytest.fixture
def with_twin(cohort, skipping):
    """The cohort with a second test slide, a copy of the first, in a run that skips slides."""
    settings = yaml.safe_load(Path("datasets.yaml").read_text())
    rows = settings["datasets"]["colon"]["slides"]
    rows.append({**rows[2], "id": "d", "slide": "d.tif", "patient": "d"})
    Path("datasets.yaml").write_text(yaml.safe_dump({"on_error": "skip", **settings}))
    shutil.copy("c.tif", "d.tif")
    shutil.copytree(SLIDES / "c", SLIDES / "d")
    for path in list(RUN.rglob("c.*")):
        text = path.read_bytes()
        path.with_stem("d").write_bytes(text.replace(b"\nc,", b"\nd,") if path.suffix == ".csv" else text)
    assert hooknet(*step("make-splits")).status == 0
    return cohort


def verdict(*options):
    return hooknet("verdict", "--dataset", "colon", "--output", "verdict.txt", *FILES, *options)


def test_without_skipped_slides_the_verdict_is_a_text(with_twin):
    assert verdict().status == 0
    assert Path("verdict.txt").read_text() == "all 4 slides of colon were used\n"


def test_a_slide_skipped_before_training_is_in_no_split_and_no_score(with_twin):
    write_reason(SLIDES / "d" / "labels.json", WHY)
    outcome = hooknet(*step("make-splits"))
    assert (outcome.status, outcome.out) == (0, f"1 training, 1 validation, 1 test\nskipped d: {WHY}\n")
    assert (SLIDES / "splits.tsv").read_text().splitlines()[-1] == "d\t\tskipped"
    assert hooknet(*step("compare")).status == 0
    assert set(pd.read_csv(REPORT / "comparison/labels_slide_scores.csv")["slide"]) == {"c"}


def test_a_slide_skipped_by_one_system_is_in_no_score_and_the_report_says_so(with_twin):
    write_reason(RUN / "maps" / "d.tif", WHY)
    assert hooknet(*step("compare")).status == 0
    assert set(pd.read_csv(REPORT / "comparison/labels_slide_scores.csv")["slide"]) == {"c"}
    assert hooknet(*step("report")).status == 0
    summary = json.loads((REPORT / "summary.json").read_text())
    assert summary["skipped"] == {"d": f"run unet: {WHY}"}
    assert [one["slide"] for one in summary["slides"]] == ["a", "b", "c"]
    page = (REPORT / "index.html").read_text(encoding="utf-8")
    assert "1 slide was skipped and is in no score" in page
    assert '<p class="fine">None.</p>' not in page
    outcome = verdict()
    assert outcome.status == 2
    assert outcome.out == f"skipped d: run unet: {WHY}\n"
    assert outcome.err == (
        f"hooknet: dataset colon: skipped 1 of 4 slides, d: run unet: {WHY}; what was made is of the others: correct "
        "these or take them out of the sheet, then run again\n"
    )
    assert not Path("verdict.txt").exists()


def test_what_was_skipped_can_be_forgotten_and_nothing_else(with_twin):
    before = snapshot(Path())
    places = [RUN / "maps" / "d.tif", RUN / "counts" / "labels" / "d.csv", SLIDES / "c" / "tissue.tif"]
    for path in places:
        write_reason(path, WHY)
    outcome = verdict("--forget")
    assert (outcome.status, outcome.out) == (
        0, "3 files of skipped slides removed; the next run makes them again\n",
    )  # fmt: skip
    assert set(before) - set(snapshot(Path())) == set(map(str, places))


def test_a_slice_that_is_skipped_takes_its_volume_along():
    rows = [
        {"id": name, "slide": f"{name}.png", "annotation": "-", "split": "test", "patient": volume, "volume": volume,
         "position": position, "thickness": 5.0}
        for name, volume, position in (("a1", "a", 0), ("a2", "a", 1), ("b1", "b", 0))
    ]  # fmt: skip
    dataset = DatasetSettings.model_validate(made_config.dataset(slides=rows))
    assert _whole_volumes(dataset, {"a1": None, "a2": WHY, "b1": None}) == {
        "a1": "slice a2 of its volume a is skipped",
        "a2": WHY,
    }


def test_a_report_names_no_folders():
    text = (
        "infer: /data/of/someone/x.svs: found 0.5 µm/px in results/slides/a/b.tif (and 1/2); see data/y.xml"
    )
    assert without_folders(text) == "infer: x.svs: found 0.5 µm/px in b.tif (and 1/2); see y.xml"
