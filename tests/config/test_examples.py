from pathlib import Path

import pytest

from hooknet.config.document import read_document
from hooknet.config.project import load_project, missing_files
from hooknet.shapes import NetworkShape
from hooknet.work import parameter_count

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "config" / "examples"
GLAS = ROOT.parent / "shared" / "data" / "glas"


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    """Paths in the shipped files start at the repository."""
    monkeypatch.chdir(ROOT)


def example(name):
    datasets = EXAMPLES / name / "datasets.yaml"
    own = datasets if datasets.is_file() else ROOT / "config" / "datasets.yaml"
    return load_project(own, EXAMPLES / name / "experiments.yaml")


def systems(project):
    """(model, spacings, weight of the target) of each experiment."""
    return [
        (one.model, one.spacings, 1.0 if one.loss_weights is None else one.loss_weights[0])
        for one in project.experiments.values()
    ]


UNETS = [("unet", (spacing,), 1.0) for spacing in (0.5, 1.0, 2.0, 4.0, 8.0)]


def hooknets(context, *weights):
    return [("hooknet", (0.5, context), weight) for weight in weights]


def test_every_example_is_looked_at():
    assert {path.name for path in EXAMPLES.iterdir()} == {"apply", "breast", "lung", "glas", "demo_seeds"}


def test_breast_is_the_experiment_matrix_of_the_paper():
    assert systems(example("breast")) == UNETS + hooknets(2.0, 1.0) + hooknets(8.0, 1.0, 0.75, 0.5, 0.25)


def test_lung_is_the_experiment_matrix_of_the_paper():
    assert systems(example("lung")) == UNETS + hooknets(2.0, 1.0, 0.75, 0.5, 0.25)


@pytest.mark.parametrize("name", ["breast", "lung"])
def test_loss_weights_of_the_paper_add_up_to_one(name):
    weights = [one.loss_weights for one in example(name).experiments.values() if one.loss_weights]
    assert all(sum(one) == 1 for one in weights)


@pytest.mark.parametrize("name", ["breast", "lung"])
def test_training_is_that_of_the_paper(name):
    for one in example(name).experiments.values():
        train = one.train
        assert (one.patch_size, one.network.depth, one.network.convolutions) == (284, 4, 2)
        assert (train.batch, train.learning_rate, train.epochs, train.steps) == (12, 5e-6, 200, 1000)
        assert train.stop_after is None


@pytest.mark.parametrize("name", ["breast", "lung"])
def test_every_model_of_the_paper_has_about_50_million_parameters(name):
    counts = {name: parameter_count(NetworkShape(run.network)) for name, run in example(name).runs.items()}
    assert all(49e6 < count < 52e6 for count in counts.values()), counts


def test_classes_are_those_of_the_paper():
    assert set(example("breast").datasets["breast"].classes) == {
        "dcis", "idc", "ilc", "benign_epithelium", "other", "fat"
    }  # fmt: skip
    assert set(example("lung").datasets["lung"].classes) == {"tls", "gc", "tumour", "other"}


def test_breast_has_86_slides_in_shares_of_50_18_and_18():
    dataset = example("breast").datasets["breast"]
    assert len(dataset.slides) == 86
    assert {split: round(share * 86) for split, share in dataset.splits.ratios.items()} == {
        "training": 50,
        "validation": 18,
        "test": 18,
    }


def test_lung_has_27_slides_in_three_folds():
    dataset = example("lung").datasets["lung"]
    assert (len(dataset.slides), dataset.folds) == (27, (0, 1, 2))


def test_germinal_centres_are_painted_over_the_structures_they_lie_in():
    order = {one.name: one.order for one in example("lung").datasets["lung"].label_map.classes}
    assert order["gc"] > order["tls"]


def test_glas_trains_two_systems_alike_on_three_folds():
    project = example("glas")
    assert list(project.runs) == [
        f"{system}-fold{fold}" for system in ("unet_0.62", "hooknet_0.62_2.48") for fold in (0, 1, 2)
    ]
    unet, hooknet = project.experiments.values()
    assert (unet.spacings, hooknet.spacings, hooknet.loss_weights) == ((0.62,), (0.62, 2.48), (0.75, 0.25))
    assert unet.train == hooknet.train
    assert unet.network == hooknet.network
    assert unet.patch_size == hooknet.patch_size
    assert unet.network.filters == 8
    assert unet.train.epochs * unet.train.steps <= 1000


def test_glas_folds_rotate_and_keep_patients_whole():
    project = example("glas")
    sides = {}
    for fold in (0, 1, 2):
        run = project.run(f"unet_0.62-fold{fold}")
        sides[fold] = [
            {one.fold for one in run.slides(split)} for split in ("test", "validation", "training")
        ]
    assert sides == {0: [{0}, {1}, {2}], 1: [{1}, {2}, {0}], 2: [{2}, {0}, {1}]}
    slides = project.datasets["glas"].slides
    assert (len(slides), len({one.patient for one in slides})) == (39, 12)


@pytest.mark.skipif(not GLAS.is_dir(), reason="needs the GlaS fields beside the repository")
def test_glas_names_files_that_are_there_and_all_of_them():
    project = example("glas")
    assert missing_files(project) == []
    named = {Path(one.slide).name for one in project.datasets["glas"].slides}
    assert named == {path.name for path in (GLAS / "slides").glob("*.tif")}


def test_seeds_of_the_demo_differ_from_the_demo_in_their_seeds_only():
    demo = read_document(ROOT / "config" / "experiments.yaml")
    seeds = read_document(EXAMPLES / "demo_seeds" / "experiments.yaml")
    assert seeds["defaults"].pop("seeds") == [1, 2, 3]
    assert seeds == demo


def test_demo_is_the_shipped_default_and_needs_no_files():
    project = load_project("config/datasets.yaml", "config/experiments.yaml")
    assert missing_files(project) == []
    demo = project.datasets["demo"]
    assert demo.phantom is not None
    assert sum(one.split == "test" for one in demo.slides) >= 6
    trains = [
        one.model_dump(include={"train", "augment", "patch_size"}) for one in project.experiments.values()
    ]
    assert all(one == trains[0] for one in trains), "the same budget for all systems"


def test_weights_of_another_experiment_are_used_without_training():
    project = example("apply")
    run = project.runs["glas_hooknet"]
    assert str(run.weights) == "results/runs/hooknet_0.62_2.48-fold0/best.ckpt"
    assert [one.id for one in run.slides("test")] == ["CMU-1-Small-Region"]
    assert run.slides("training") == run.slides("validation") == ()
    # The same network as the weights': what hooknet infer asks for.
    trained = example("glas").runs["hooknet_0.62_2.48-fold0"]
    assert run.network == trained.network
    assert run.dataset.label_map.names == trained.dataset.label_map.names


def test_weights_that_are_not_there_are_told_before_any_job(monkeypatch, tmp_path):
    project = example("apply")
    monkeypatch.chdir(tmp_path)
    assert missing_files(project)[-1] == (
        f"{project.experiments_file}: experiments.glas_hooknet.checkpoint: found no file "
        "'results/runs/hooknet_0.62_2.48-fold0/best.ckpt'; correct the path (paths start at the working directory)"
    )
