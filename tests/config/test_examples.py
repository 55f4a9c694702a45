from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from hooknet.config.candidates import Rungs
from hooknet.config.experiments import ExperimentsFile, kind_of
from hooknet.config.project import load_project, missing_files
from hooknet.demo.sites import CLASSES, VIEWS
from hooknet.groundtruth.cohort import assign, check_classes
from hooknet.models.encoder_check import look_at

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "config" / "examples"
GLAS = ROOT.parent / "shared" / "data" / "glas"
SLIDES = ROOT.parent / "shared" / "data" / "slides"


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


def mrn(context):
    return ("mrn", (0.5, context), 1.0)


def hooknets(context, *weights):
    return [("hooknet", (0.5, context), weight) for weight in weights]


def test_every_example_is_looked_at():
    assert {path.name for path in EXAMPLES.iterdir()} == {
        "acdc",
        "apply",
        "brats",
        "mnms",
        "synapse",
        "breast",
        "breast_h2g",
        "lung",
        "glas",
        "glas_h2g",
        "glas_hdc",
        "glas_tutorial",
        "hearts",
        "own_encoder",
        "phantom_h2g",
        "phantom_hdc",
        "phantom_study",
        "predict",
        "search_phantom",
    }


def test_the_search_on_sites_can_decide_for_every_right_answer():
    """Whatever names the classes, the views that see it are among its candidates, and the budget lasts."""
    search = example("search_phantom").searches["fields"]
    assert {one.spacings for one in search.candidates.values()} >= set(VIEWS.values())
    assert tuple(search.dataset.classes) == CLASSES["near"]
    assert search.settings.rungs == Rungs((5, 15), (6, 2))
    splits = [one.split for one in search.dataset.slides]
    assert [splits.count(one) for one in ("training", "validation", "test")] == [24, 12, 12]


@pytest.mark.parametrize(("name", "channels"), [("acdc", 1), ("mnms", 1), ("brats", 4), ("synapse", 1)])
def test_volumes_are_for_networks_of_as_many_channels(name, channels):
    """Their slices are no part of the repository: what can be looked at is the two files."""
    dataset = yaml.safe_load((EXAMPLES / name / "datasets.yaml").read_text())["datasets"][name]
    assert dataset.get("channels", 3) == channels
    file = ExperimentsFile.model_validate(yaml.safe_load((EXAMPLES / name / "experiments.yaml").read_text()))
    parameters = []
    for section in file.experiments.values():
        settings = kind_of(section).model_validate(section)
        assert settings.dataset == name
        assert (settings.augment.stain, settings.augment.saturation) == (0, 0)
        parameters.append(settings.network_settings(len(dataset["classes"]), channels).shape.parameter_count)
    assert parameters[1] < parameters[2] < parameters[0]


def test_hearts_are_small_enough_for_two_cores():
    file = ExperimentsFile.model_validate(
        yaml.safe_load((EXAMPLES / "hearts" / "experiments.yaml").read_text())
    )
    for section in file.experiments.values():
        settings = kind_of(section).model_validate(section)
        assert settings.network_settings(4, 1).shape.parameter_count < 3e6
        assert settings.train.epochs * settings.train.steps == 360


@pytest.mark.parametrize("name", ["phantom_hdc", "glas_hdc"])
def test_hdc_hrnet_is_compared_at_the_same_steps(name):
    own = {} if name == "phantom_hdc" else {"datasets": EXAMPLES / "glas" / "datasets.yaml"}
    project = load_project(own.get("datasets", "config/datasets.yaml"), EXAMPLES / name / "experiments.yaml")
    found = list(project.experiments.values())
    assert {one.model for one in found} == {"unet", "hooknet", "hdc_hrnet"}
    assert len({(one.train.epochs, one.train.steps, one.train.batch) for one in found}) == 1
    for one in found:
        if one.model == "hdc_hrnet":
            assert (one.network.width, one.patch_size, one.network.stem) == (16, 128, "stride4")


def test_breast_is_the_experiment_matrix_of_the_paper():
    rows = systems(example("breast"))
    assert rows == [*UNETS, mrn(8.0), *hooknets(2.0, 1.0), *hooknets(8.0, 1.0, 0.75, 0.5, 0.25)]
    assert len(rows) == 11


def test_lung_is_the_experiment_matrix_of_the_paper():
    rows = systems(example("lung"))
    assert rows == [*UNETS, mrn(2.0), *hooknets(2.0, 1.0, 0.75, 0.5, 0.25)]
    assert len(rows) == 10


@pytest.mark.parametrize("name", ["breast", "lung"])
def test_loss_weights_of_the_paper_add_up_to_one(name):
    weights = [one.loss_weights for one in example(name).experiments.values() if one.loss_weights]
    assert all(sum(one) == 1 for one in weights)


@pytest.mark.parametrize("name", ["breast", "lung"])
def test_training_is_that_of_the_paper(name):
    for one in example(name).experiments.values():
        train = one.train
        assert (one.network.depth, one.network.convolutions, one.network.batch_norm) == (4, 2, True)
        assert (one.patch_size, train.batch) == ((256, 6) if one.model == "mrn" else (284, 12))
        assert (train.learning_rate, train.epochs, train.steps) == (5e-6, 200, 1000)
        assert train.l2 > 0
        assert train.stop_after is None


@pytest.mark.parametrize("name", ["breast", "lung"])
def test_every_model_of_the_paper_has_about_50_million_parameters(name):
    counts = {name: run.network.shape.parameter_count for name, run in example(name).runs.items()}
    assert all(49e6 < count < 52e6 for count in counts.values()), counts


def test_classes_are_those_of_the_paper():
    assert set(example("breast").datasets["breast"].classes) == {
        "dcis", "idc", "ilc", "benign_epithelium", "other", "fat"
    }  # fmt: skip
    assert set(example("lung").datasets["lung"].classes) == {"tls", "gc", "tumour", "other"}


def made_up_areas(dataset, seed):
    """Areas that vary over orders of magnitude; every class is on two slides of three."""
    rng = np.random.default_rng(seed)
    names = dataset.label_map.names
    found = rng.lognormal(0, 1.5, (len(dataset.slides), len(names))) * (
        rng.random((len(dataset.slides), len(names))) < 2 / 3
    )
    rows = zip(dataset.slides, found, strict=True)
    return {one.id: {"labels": dict(zip(names, map(float, row), strict=True))} for one, row in rows}


def divided(name, seed):
    """For each run of one experiment: how many slides train, validate and test."""
    project = example(name)
    dataset = project.datasets[name]
    areas = made_up_areas(dataset, seed)
    assigned = assign(dataset, areas)
    check_classes(project, name, assigned, areas)
    runs = [run for run in project.runs.values() if run.experiment == "unet_0.5"]
    return [
        tuple(len(run.slides(split, assigned)) for split in ("training", "validation", "test"))
        for run in runs
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_breast_has_50_slides_for_training_18_for_validation_18_for_test(seed):
    assert len(example("breast").datasets["breast"].slides) == 86
    assert divided("breast", seed) == [(50, 18, 18)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_of_the_three_runs_on_lung_has_12_slides_for_training_6_for_validation_9_for_test(seed):
    assert len(example("lung").datasets["lung"].slides) == 27
    assert divided("lung", seed) == [(12, 6, 9)] * 3


def test_germinal_centres_are_painted_over_the_structures_they_lie_in():
    order = {one.name: one.order for one in example("lung").datasets["lung"].label_map.classes}
    assert order["gc"] > order["tls"]


def test_glas_trains_four_systems_alike_on_three_folds_with_three_seeds():
    project = example("glas")
    systems = ("unet_0.62", "unet_2.48", "mrn_0.62_2.48", "hooknet_0.62_2.48")
    assert list(project.runs) == [
        f"{system}-seed{seed}-fold{fold}" for system in systems for seed in (1, 2, 3) for fold in (0, 1, 2)
    ]
    trained = {
        (one.train.epochs, one.train.steps, one.train.learning_rate) for one in project.experiments.values()
    }
    assert len(trained) == 1
    assert_about_equal_size(project)


def assert_about_equal_size(project):
    counts = [run.network.shape.parameter_count for run in project.runs.values()]
    assert max(counts) < 1.15 * min(counts)


def test_the_phantom_study_asks_the_papers_question_with_a_control():
    project = load_project(ROOT / "config" / "datasets.yaml", EXAMPLES / "phantom_study" / "experiments.yaml")
    unets = [("unet", (spacing,), 1.0) for spacing in (1.0, 2.0, 4.0, 8.0)]
    hooknets = [("hooknet", (1.0, 8.0), weight) for weight in (1.0, 0.75, 0.5, 0.25, 0.75)]
    assert systems(project) == [*unets, ("mrn", (1.0, 8.0), 1.0), *hooknets]
    controls = [name for name, one in project.experiments.items() if one.shuffle_context]
    assert controls == ["hooknet_1_8_shuffled"]
    twin = project.experiments["hooknet_1_8_lambda_0.75"].model_copy(update={"shuffle_context": True})
    assert twin == project.experiments["hooknet_1_8_shuffled"]
    assert_about_equal_size(project)


DESIGNS = [
    ("otsu", "tissue", None), ("unet_lr", "refiner unet", None), ("inc_pw", "classifier inceptionv3", None),
    ("mob_pw", "classifier mobilenetv2", None), ("mob_km_pw", "classifier mobilenetv2", None),
    ("agunet", "refiner agunet", "mob_pw"), ("dagunet", "refiner dagunet", "mob_pw"),
    ("doubleunet", "refiner doubleunet", "mob_pw"), ("h2gnet", "refiner unet", "mob_pw"),
    ("h2gnet_km", "refiner unet", "mob_km_pw"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["breast_h2g", "glas_h2g", "phantom_h2g"])
def test_the_nine_designs_of_the_poster_and_the_best_on_the_other_parent(name):
    found = example(name).experiments
    designs = [(key, one.kind, getattr(one, "parent", None)) for key, one in found.items()]
    assert designs == (
        DESIGNS[:-1] if name == "glas_h2g" else DESIGNS
    )  # the other parent costs as much again
    assert found["mob_km_pw"].clusters.k == 10
    plain, weighed = (
        found[key].model_dump(exclude={"clusters", "parent", "seeds"}) for key in ("mob_pw", "mob_km_pw")
    )
    assert plain == weighed


def test_the_large_example_is_as_published():
    project = example("breast_h2g")
    patches, refiner = project.runs["mob_pw"], project.runs["h2gnet"]
    assert (patches.settings.spacing, patches.settings.patch_size, patches.settings.train.batch) == (
        1.0,
        256,
        64,
    )
    assert (refiner.settings.size, refiner.shape.inputs, refiner.settings.train.accumulate) == (1024, 4, 4)
    assert {one.grade for one in patches.dataset.slides} == {"I", "II", "III"}
    assert len(project.part_runs) == 2 * 5


@pytest.mark.parametrize("name", ["glas_h2g", "phantom_h2g"])
def test_the_small_examples_fit_two_cores(name):
    for run in example(name).runs.values():
        if run.settings.model == "classifier":
            assert run.settings.cell == 64
            assert run.settings.train.epochs <= 30
        if run.settings.model == "refiner":
            assert run.settings.size == 256
            assert run.settings.train.epochs <= 30


def test_glas_folds_rotate_and_keep_patients_whole():
    project = example("glas")
    sides = {}
    for fold in (0, 1, 2):
        run = project.run(f"unet_0.62-seed1-fold{fold}")
        sides[fold] = [
            {one.fold for one in run.slides(split)} for split in ("test", "validation", "training")
        ]
    assert sides == {0: [{0}, {1}, {2}], 1: [{1}, {2}, {0}], 2: [{2}, {0}, {1}]}
    slides = project.datasets["glas"].slides
    assert (len(slides), len({one.patient for one in slides})) == (39, 12)


@pytest.mark.skipif(not GLAS.is_dir(), reason="needs the GlaS fields beside the repository")
@pytest.mark.parametrize("name", ["glas", "glas_h2g"])
def test_glas_names_files_that_are_there_and_all_of_them(name):
    project = example(name)
    assert missing_files(project) == []
    named = {Path(one.slide).name for one in project.datasets[name].slides}
    assert named == {path.name for path in (GLAS / "slides").glob("*.tif")}


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
    assert str(run.weights) == "results/runs/hooknet_0.62_2.48-seed1-fold0/best.ckpt"
    assert [one.id for one in run.slides("test")] == ["CMU-1-Small-Region"]
    assert run.slides("training") == run.slides("validation") == ()
    # The same network as the weights': what hooknet infer asks for.
    trained = example("glas").runs["hooknet_0.62_2.48-seed1-fold0"]
    assert run.network == trained.network
    assert run.dataset.label_map.names == trained.dataset.label_map.names


@pytest.mark.skipif(not SLIDES.is_dir(), reason="needs the slides beside the repository")
def test_slides_of_a_folder_are_predicted_by_weights_of_another_experiment():
    project = example("predict")
    run = project.runs["predicted"]
    assert [(one.id, one.split) for one in run.slides("test")] == [("CMU-1-Small-Region", "test")]
    trained = example("glas").runs["hooknet_0.62_2.48-seed1-fold0"]
    assert run.network == trained.network
    assert run.dataset.label_map.names == trained.dataset.label_map.names
    assert project.on_error == "skip"


def test_the_tutorial_s_fields_are_of_as_few_patients_on_each_side_as_it_says():
    project = example("glas_tutorial")
    sides = {}
    for slide in project.dataset("glas").slides:
        sides.setdefault(slide.split, []).append(slide.patient)
    assert {side: (len(of), len(set(of))) for side, of in sides.items()} == {
        "training": (6, 3),
        "validation": (2, 2),
        "test": (4, 2),
    }
    assert [one.spacings for one in project.experiments.values()] == [(0.62,), (0.62, 2.48)]


def test_weights_that_are_not_there_are_told_before_any_job(monkeypatch, tmp_path):
    project = example("apply")
    monkeypatch.chdir(tmp_path)
    assert missing_files(project)[-1] == (
        f"{project.experiments_file}: experiments.glas_hooknet.checkpoint: found no file "
        "'results/runs/hooknet_0.62_2.48-seed1-fold0/best.ckpt'; correct the path (paths start at the working "
        "directory)"
    )


def test_own_encoders_are_stated_as_they_are():
    found = example("own_encoder").experiments
    assert {one.model for one in found.values()} == {"unet", "hooknet"}
    for one in found.values():
        # Where it is not as stated, the section is not what check-encoder prints.
        own = look_at(one.network.encoder.make, one.network.encoder.options, None, 3)
        assert replace(own.spec, options=one.network.encoder.spec().options) == one.network.encoder.spec()
