"""The steps of a search from file to file, on predictions made by hand."""

import json
from pathlib import Path

import made_config
import numpy as np
import pandas as pd
import pytest
from made_points import points, sure

from hooknet.config import layout
from hooknet.config.project import load_project
from hooknet.errors import ConfigError, MaskError
from hooknet.io.points import write_points
from hooknet.report.data import ReportClass
from hooknet.report.files import Files
from hooknet.report.search import read_search, sentences, show
from hooknet.search.steps import decide_views, promote_trials, rank_views

NAMES = ("stroma", "gland")
SLIDES = [{"id": f"v{at}", "patient": f"p{at}", "split": "validation"} for at in range(8)]
EACH = 20
SEARCH = {
    "dataset": "colon",
    "spacings": [1.0, 2.0, 4.0],
    "patch_size": 92,
    "network": {"filters": 4, "depth": 2},
    "train": {"epochs": 30, "steps": 2, "batch": 2},
    "branches": [2],
    "entrants": 3,
    "reduction": 2,
}


@pytest.fixture
def search(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    others = [
        {"id": "a", "patient": "pa", "split": "training"},
        {"id": "c", "patient": "pc", "split": "test"},
    ]
    datasets = {"colon": made_config.dataset(slides=[*others, *SLIDES])}
    return load_project(*made_config.write(tmp_path, datasets, search={"fields": SEARCH})).searches["fields"]


def predict(search, name, rung, wrong):
    """Predictions that get so many of every 20 centres of a slide wrong, those of both classes."""
    labels = np.tile([1, 2], len(SLIDES) * EACH // 2)
    slides = np.repeat([one["id"] for one in SLIDES], EACH)
    told = np.where(np.arange(len(labels)) % EACH < wrong, 3 - labels, labels)
    path = layout.points_path(search.name, name, rung)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_points(path, points(labels, sure(told, 2, 0.8), NAMES, slides))


def ranked(search):
    for name, wrong in zip(search.singles, (2, 4, 8), strict=True):
        predict(search, name, 0, wrong)
    rank_views(search, layout.ranking_folder(search.name), layout.trials_path(search.name, 0))
    return json.loads(layout.trials_path(search.name, 0).read_text())


def test_a_search_goes_from_ranking_to_decision(search):
    first = ranked(search)
    # Every centre that one gets wrong the finest does too, so that no combination tells more than another with it.
    assert first["trials"][:3] == ["fields_1", "fields_2", "fields_4"]
    assert set(first["trials"][3:]) == {"fields_1_2_concat_0.75", "fields_1_4_concat_0.75"}
    assert (first["sizes"], first["epochs"][0]) == ([5, 3, 2], search.settings.rungs.epochs[0])
    assert first["epochs"] == sorted(first["epochs"])
    wrong = {
        "fields_1": 2,
        "fields_2": 4,
        "fields_4": 8,
        "fields_1_2_concat_0.75": 1,
        "fields_1_4_concat_0.75": 2,
    }
    for rung in (0, 1):
        trials = json.loads(layout.trials_path(search.name, rung).read_text())["trials"]
        for name in trials:
            predict(search, name, rung, wrong[name])
        promote_trials(
            search, rung, layout.rung_table_path(search.name, rung), layout.trials_path(search.name, rung + 1)
        )
    last = json.loads(layout.trials_path(search.name, 2).read_text())["trials"]
    assert set(last) == {"fields_1_2_concat_0.75", "fields_1"}
    for name in last:
        predict(search, name, 2, wrong[name])
    decide_views(search, layout.decision_path(search.name), layout.last_rung_path(search.name))
    decision = json.loads(layout.decision_path(search.name).read_text())
    assert decision["winner"] == "fields_1_2_concat_0.75"
    assert decision["winner_spacings"] == [1.0, 2.0]
    assert decision["runner_up"] == "fields_1"
    assert decision["lead_over_runner_up"]["macro_f1"] == pytest.approx(0.05, abs=0.001)
    assert decision["sure"] == 1.0
    assert (decision["drawn"], decision["patients"]) == ("patients", len(SLIDES))
    assert decision["better_before"] == []
    assert decision["trained_in_full"] == ["fields_1_2_concat_0.75", "fields_1", "fields_2", "fields_4"]
    assert list(search.decided()) == decision["trained_in_full"]


def test_a_winner_behind_what_was_there_before_is_told_of(search, caplog):
    """A single view that the ranking put behind does better at first than the combinations ever do."""
    ranked(search)
    layout.trials_path(search.name, 1).write_text(
        json.dumps({"trials": ["fields_1_2_concat_0.75", "fields_1_4_concat_0.75"]})
    )
    layout.trials_path(search.name, 2).write_text(
        json.dumps({"trials": ["fields_1_2_concat_0.75", "fields_1_4_concat_0.75"]})
    )
    for rung in (0, 1):
        for name in json.loads(layout.trials_path(search.name, rung).read_text())["trials"]:
            predict(search, name, rung, 2 if name == "fields_1" else 6)
        promote_trials(
            search, rung, layout.rung_table_path(search.name, rung), layout.search_folder("x") / "on.json"
        )
    for name in ("fields_1_2_concat_0.75", "fields_1_4_concat_0.75"):
        predict(search, name, 2, 6)
    decide_views(search, layout.decision_path(search.name), layout.last_rung_path(search.name))
    assert json.loads(layout.decision_path(search.name).read_text())["better_before"][0] == "fields_1"
    assert "did better in an earlier rung, trained less" in caplog.text


def test_the_report_shows_it(search, tmp_path):
    test_a_search_goes_from_ranking_to_decision(search)
    found = read_search(search)
    files = Files(tmp_path / "report")
    shown = show(found, [ReportClass("stroma", 1, "#e5989b"), ReportClass("gland", 2, "#1b6f66")], files)
    assert shown.sentences[0] == "The search decides for fields_1_2_concat_0.75, which sees 1 and 2 µm/px."
    assert (
        "is +0.050 (95 % interval +0.050 to +0.050); in 100 % of cohorts drawn from the patients"
        in shown.sentences[1]
    )
    assert shown.sentences[2].startswith(f"Cohorts of {len(SLIDES)} patients are too alike")
    assert [row[1].text for row in shown.trials.rows if row[4].text == "wins"] == ["fields_1_2_concat_0.75"]
    saved = pd.read_csv(tmp_path / "report" / "tables" / "search_fields_rungs.csv")
    assert len(saved) == 5 + 3 + 2
    assert (tmp_path / "report" / "figures" / "search_fields_views.png").stat().st_size > 5000


def test_a_simpler_winner_says_that_it_is_not_the_best(search):
    decision = {
        "winner": "a", "winner_spacings": [1.0], "runner_up": "b", "best": "b", "sure": 0.4, "drawn": "patients",
        "patients": 20,
        "tolerance": 0.01, "lead_over_runner_up": {"macro_f1": -0.02, "low": -0.1, "high": 0.06},
        "rungs": {"epochs": [1, 4]}, "epochs_in_full": 8, "better_before": ["c"],
    }  # fmt: skip
    told = sentences(decision)
    assert told[0] == "The search decides for a, which sees 1 µm/px."
    assert told[2] == "It is not the one with the highest F1, but simpler, and not shown to be worse."
    assert told[3].startswith("c did better in an earlier rung, trained less")
    few = sentences({**decision, "patients": 19})
    assert few[2].startswith(
        "Cohorts of 19 patients are too alike for such shares: a system that is as good as"
    )
    assert (*few[:2], *few[3:]) == told
    assert sentences({**decision, "drawn": "centres", "patients": 3})[2].startswith(
        "There are too few patients to validate on (3)"
    )


def test_a_ranking_needs_every_single_view(search):
    predict(search, "fields_1", 0, 2)
    with pytest.raises(
        MaskError, match=r"fields_2/rung0/points\.parquet: no such file; make it with train-trial"
    ):
        rank_views(search, layout.ranking_folder(search.name), layout.trials_path(search.name, 0))
    assert not layout.ranking_folder(search.name).exists()


def test_nobody_goes_on_from_the_last_rung(search):
    rungs = ranked(search)["sizes"]
    with pytest.raises(ConfigError, match="from rung 2 no trial goes on; decide it with decide-views"):
        promote_trials(
            search, len(rungs) - 1, layout.rung_table_path(search.name, 2), layout.trials_path(search.name, 3)
        )


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (
            {"trials": ["fields_9"], "epochs": [1, 2], "sizes": [4, 2]},
            "wanted two trials or more of search fields; make it again",
        ),
        ({"trials": [], "epochs": [1, 2], "sizes": [4, 2]}, "wanted two trials or more of search fields"),
        ({"trials": [{}, {}], "epochs": [1, 2], "sizes": [4, 2]}, "wanted two trials or more"),
        ({"trials": ["fields_1"] * 2, "epochs": [1, 2], "sizes": [4, 2]}, "wanted two trials or more"),
        ({"trials": ["fields_1"]}, "says no rungs"),
        ({"trials": ["fields_1"], "epochs": [1, float("inf")], "sizes": [4, 2]}, "says no rungs"),
        ({"trials": ["fields_1"], "epochs": [1, 2], "sizes": [4, 0]}, "says no rungs"),
        ({"trials": ["fields_1"], "epochs": [1], "sizes": [4, 2]}, "says no rungs"),
    ],
)
def test_trials_of_another_search_are_refused(search, record, told):
    path = layout.trials_path(search.name, 0)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    with pytest.raises((ConfigError, MaskError), match=told):
        promote_trials(search, 0, layout.rung_table_path(search.name, 0), layout.trials_path(search.name, 1))


def damaged_tables():
    """What a disk may make of a table."""
    return [b"", b"garbage", b"trial,f1\nx,y\n", bytes(range(256))]


@pytest.mark.parametrize("content", damaged_tables())
def test_a_damaged_table_is_one_line_wherever_it_is_read(search, content):
    test_a_search_goes_from_ranking_to_decision(search)
    steps = {
        layout.rung_table_path("fields", 0): lambda: decide_views(search, Path("d.json"), Path("d.csv")),
        layout.ranking_folder("fields") / "ranking.csv": lambda: promote_trials(
            search, 0, Path("d.csv"), Path("d.json")
        ),
    }
    tables = [*steps, layout.last_rung_path("fields"), *layout.ranking_folder("fields").iterdir()]
    for path in tables:
        whole = path.read_bytes()
        path.write_bytes(content)
        for read in (steps.get(path), lambda: read_search(search)):
            if read is not None:
                with pytest.raises(
                    MaskError, match=f"{path}: not a table of a search .*; make it again with "
                ):
                    read()
        path.write_bytes(whole)
    assert not Path("d.csv").exists()
    assert not Path("d.json").exists()


@pytest.mark.parametrize("text", ["{}", '{"trained_in_full": ["fields_1"]}', '{"lead_over_runner_up": 3}'])
def test_a_damaged_decision_is_one_line_in_the_report(search, text):
    test_a_search_goes_from_ranking_to_decision(search)
    layout.decision_path("fields").write_text(text)
    with pytest.raises(
        MaskError, match=r"decision\.json: not a decision .*; make it again with decide-views"
    ):
        read_search(search)


@pytest.mark.parametrize("text", ["{", "[]", '{"trained_in_full": ["fields_9"]}'])
def test_a_decision_that_the_workflow_goes_on_from_has_to_be_one(search, text):
    """Else what a search has decided for would be left out of the comparison in silence."""
    test_a_search_goes_from_ranking_to_decision(search)
    path = layout.decision_path("fields")
    assert len(search.finalists(path)) == 4
    path.write_text(text)
    with pytest.raises(
        ConfigError, match=r"decision\.json: found runs .*; remove the file: it is made again"
    ):
        search.finalists(path)
