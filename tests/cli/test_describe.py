from pathlib import Path

import pytest
from made_cohort import hooknet

from hooknet.config.project import load_project
from hooknet.models.describe import describe_experiment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def describe(example, experiment):
    folder = f"config/examples/{example}"
    return hooknet(
        "describe",
        experiment,
        "--datasets",
        f"{folder}/datasets.yaml",
        "--experiments",
        f"{folder}/experiments.yaml",
    )


@pytest.mark.parametrize(
    ("experiment", "parameters"),
    [
        ("unet_0.5", "51,004,050"),
        ("hooknet_0.5_8_lambda_0.75", "50,761,740"),
        ("hooknet_0.5_8_lambda_1", "50,761,350"),
        ("hooknet_0.5_2_lambda_1", "50,723,142"),
        ("mrn_0.5_8", "49,565,535"),
    ],
)
def test_networks_of_the_paper_have_the_parameters_worked_out_for_them(experiment, parameters):
    outcome = describe("breast", experiment)
    assert outcome.status == 0
    assert outcome.out.splitlines()[0].endswith(f": {parameters} parameters, 6 classes")


def test_description_has_sizes_depths_and_fields_of_view():
    lines = describe("breast", "hooknet_0.5_8_lambda_0.75").out
    for part in (
        "patch 284 px in, 70 px out",
        "target: 0.5 µm/px, sees 142 µm, loss weight 0.75",
        "context: 8 µm/px, sees 2272 µm, loss weight 0.25",
        "enc0    280 px of  0.5 µm,   64    280 px of    8 µm,   64",
        "mid      10 px of    8 µm,  640     10 px of  128 µm,  640",
        "context.dec0 (70 px of 8 µm) ──► target.mid: 30 px cropped from each side, concat",
        "inference: views of 2268 and 348 px every 2048 px (a multiple of 256",
    ):
        assert part in lines


def test_the_drawing_in_the_documents_is_what_is_printed():
    printed = describe("breast", "hooknet_0.5_8_lambda_0.75").out.strip()
    assert printed in Path("docs/fidelity.md").read_text(encoding="utf-8")


def test_an_mrn_shows_where_its_context_joins():
    lines = describe("breast", "mrn_0.5_8").out
    for part in (
        "mid      16 px of    8 µm,  690     16 px of  128 µm,  690",
        "context.mid (16 px of 128 µm) ──► target.mid: central 1/16 resampled to 16 px, concat",
        "views of 2048 and 384 px every 1792 px (a multiple of 256",
        "123 px of its rim dropped",
    ):
        assert part in lines


def test_without_a_name_all_experiments_are_described():
    outcome = hooknet(
        "describe", "--datasets", "config/examples/lung/datasets.yaml", "--experiments",
        "config/examples/lung/experiments.yaml",
    )  # fmt: skip
    titles = [line for line in outcome.out.splitlines() if line.startswith("== ")]
    assert len(titles) == 10
    assert titles[5] == "== mrn_0.5_2"
    assert outcome.out.count("parameters, 4 classes") == 10


# Their sheets are written by import-volumes.
OF_VOLUMES = {"acdc", "brats", "hearts", "mnms", "synapse"}
# Those of a folder have to be there.
NEW_SLIDES = Path("../shared/data/slides")


def test_every_example_can_be_described():
    for example in Path("config/examples").iterdir():
        if example.name in OF_VOLUMES or (example.name == "predict" and not NEW_SLIDES.is_dir()):
            continue
        own = (example.parent / "glas" if example.name == "glas_hdc" else example) / "datasets.yaml"
        datasets = own if own.is_file() else Path("config/datasets.yaml")
        project = load_project(datasets, example / "experiments.yaml")
        for name, one in project.experiments.items():
            run = next(run for run in project.runs.values() if run.experiment == name)
            told = describe_experiment(one, len(run.dataset.classes))
            assert run.weights is None or f"{run.parameter_count:,} parameters" in told, name


@pytest.mark.parametrize(
    ("experiment", "lines"),
    [
        ("mob_pw", ["classifier mobilenetv2(1 µm/px)", "2,352,174 parameters, 2 classes, keras layout",
                    "patch 256 px at 1 µm/px: sees 256 µm, 391 MMAC", "heat map: a px every 256 px, 256 µm"]),
        ("h2gnet", ["refiner unet(1024 px, heat maps of mob_pw)", "11,563,410 parameters, 2 classes, 4 channels in",
                    "whole slides padded to 1024 px: a slide of 25 mm has px of 24.4 µm"]),
        ("otsu", ["tissue as tumour"]),
    ],
)  # fmt: skip
def test_stages_are_described_by_what_they_see(experiment, lines):
    assert describe("breast_h2g", experiment).out.splitlines() == lines


def test_unknown_experiment_is_answered_with_the_nearest():
    message = describe("glas", "unet_0.61").err
    assert message == (
        "hooknet: config/examples/glas/experiments.yaml: no experiment 'unet_0.61'; did you mean 'unet_0.62'? "
        "possible: unet_0.62, unet_2.48, mrn_0.62_2.48, hooknet_0.62_2.48\n"
    )


def test_unhookable_spacings_are_one_line(tmp_path, monkeypatch):
    text = Path("config/experiments.yaml").read_text()
    datasets = (ROOT / "config" / "datasets.yaml", tmp_path / "experiments.yaml")
    datasets[1].write_text(text.replace("spacings: [1.0, 8.0]", "spacings: [1.0, 7.0]"))
    files = ("--datasets", datasets[0], "--experiments", datasets[1])
    monkeypatch.chdir(ROOT)
    outcome = hooknet("describe", "hooknet_1_8", *files)
    assert outcome.status == 2
    assert "no decoder map of a branch at 7 µm/px" in outcome.err
    assert "use a context at 2, 4, 8 µm/px" in outcome.err


def test_filters_that_follow_from_a_number_of_parameters_are_shown(tmp_path):
    own = tmp_path / "experiments.yaml"
    own.write_text(
        "experiments:\n"
        "  near: {dataset: breast, model: hooknet, spacings: [0.5, 8.0], network: {parameters: 50000000}}\n"
    )
    outcome = hooknet(
        "describe", "near", "--datasets", "config/examples/breast/datasets.yaml", "--experiments", own
    )  # fmt: skip
    assert outcome.status == 0
    assert outcome.out.splitlines()[0].endswith(": 50,761,350 parameters, 6 classes")
    assert "F = 64," in outcome.out.splitlines()[1]
