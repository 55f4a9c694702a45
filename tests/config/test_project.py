from pathlib import Path

import made_config
import pytest

from hooknet.config.datasets import TissueSettings
from hooknet.config.project import digest, load_project, missing_files
from hooknet.config.sides import Side
from hooknet.errors import ConfigError

PHANTOM = {
    "phantom": {},
    "files": {
        "slide": "results/demo/slides/{id}.tif",
        "annotation": "results/demo/annotations/{id}.xml",
        "truth": "results/demo/truth/{id}.tif",
    },
}


def load(tmp_path, datasets=None, experiments=None):
    return load_project(*made_config.write(tmp_path, datasets, experiments))


def complaint(tmp_path, datasets=None, experiments=None):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, datasets, experiments)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/")


def ids(slides):
    return [one.id for one in slides]


def with_folds(*numbers):
    return {"colon": made_config.dataset(slides=made_config.folds(*numbers))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: {}\n", "datasets.yaml: dataset: unknown key; did you mean 'datasets'? possible: datasets, on_error"),
        ("datasets:\n", "datasets.yaml: datasets: found nothing, wanted a mapping of names to datasets"),
        ("datasets: {}\n", "datasets.yaml: datasets: found {}, wanted a mapping of names to datasets"),
        ("datasets: [a]\n", "datasets.yaml: datasets: found ['a'], wanted a mapping of names to datasets"),
        ("datasets: {a: 1}\n", "datasets.yaml: datasets.a: found 1, wanted a mapping of keys to settings"),
        ("datasets: {../a: {}}\n",
         "datasets.yaml: datasets.../a: found '../a', wanted letters, digits, '_', '.' or '-', "
         "the first a letter or a digit"),
    ],
)  # fmt: skip
def test_bad_datasets_files_are_one_exact_line(tmp_path, text, message):
    assert complaint(tmp_path, text) == message


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("Skip", "found 'Skip'; did you mean 'skip'? possible: fail, skip"),
        ("true", "found 'True'; possible: fail, skip"),
        ("[skip]", "found \"['skip']\"; did you mean 'skip'? possible: fail, skip"),
    ],
)  # fmt: skip
def test_what_to_do_on_an_error_is_fail_or_skip(tmp_path, said, message):
    _, experiments = made_config.write(tmp_path, None, None)
    path = tmp_path / "datasets.yaml"
    whole = path.read_text()
    assert load_project(path, experiments).on_error == "fail"
    path.write_text(f"on_error: skip\n{whole}")
    assert load_project(path, experiments).on_error == "skip"
    path.write_text(f"on_error: {said}\n{whole}")
    with pytest.raises(ConfigError) as caught:
        load_project(path, experiments)
    assert str(caught.value) == f"{path}: on_error: {message}"


def test_missing_configuration_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert str(caught.value) == f"{tmp_path}/a.yaml: there is no such file; name an existing YAML file"


def test_run_without_seeds_and_folds_is_called_like_its_experiment(tmp_path):
    runs = load(tmp_path).runs
    assert list(runs) == ["unet"]
    assert (runs["unet"].system, runs["unet"].seed, runs["unet"].fold) == ("unet", 1, None)


def test_runs_are_named_by_seed_and_fold_where_there_are_several(tmp_path):
    experiments = {"a": made_config.experiment(seeds=[3, 1]), "b": made_config.experiment(folds=[2])}
    runs = load(tmp_path, with_folds(0, 1, 2), experiments).runs
    assert list(runs) == [
        "a-seed3-fold0", "a-seed3-fold1", "a-seed3-fold2", "a-seed1-fold0", "a-seed1-fold1", "a-seed1-fold2",
        "b-fold2",
    ]  # fmt: skip
    assert runs["a-seed1-fold2"].system == "a-seed1"
    assert (runs["b-fold2"].system, runs["b-fold2"].fold) == ("b", 2)


def test_objects_with_thresholds_need_probabilities_of_every_experiment(tmp_path):
    classes = made_config.merged(made_config.CLASSES, {})
    classes["gland"] = {**classes["gland"], "objects": {"low": 0.4, "high": 0.8}}
    dataset = {"colon": made_config.dataset(classes=classes)}
    kept = {"unet": made_config.experiment(infer={"probabilities": True})}
    assert load(tmp_path, dataset, kept).dataset("colon").object_classes()["gland"].low == 0.4
    assert complaint(tmp_path, dataset, {**kept, "other": made_config.EXPERIMENT}) == (
        "experiments.yaml: experiments.other.infer.probabilities: found false, but objects of class 'gland' of dataset "
        "'colon' have thresholds of probability; set it to true"
    )


def test_single_seed_is_not_named_whichever_it_is(tmp_path):
    assert list(load(tmp_path, None, {"a": made_config.experiment(seeds=[7])}).runs) == ["a"]


@pytest.mark.parametrize("other", ["a-seed1", "A-SEED1"])
def test_two_runs_of_one_name_are_refused(tmp_path, other):
    experiments = {"a": made_config.experiment(seeds=[1, 2]), other: made_config.EXPERIMENT}
    assert complaint(tmp_path, None, experiments) == (
        f"experiments.yaml: two runs are called {other!r}; rename one"
    )


@pytest.mark.parametrize(
    ("fold", "test", "validation", "training"),
    [(0, "s0", "s1", ["s2", "s3"]), (1, "s1", "s2", ["s0", "s3"]), (3, "s3", "s0", ["s1", "s2"])],
)
def test_fold_tests_the_next_validates_the_others_train(tmp_path, fold, test, validation, training):
    run = load(tmp_path, with_folds(0, 1, 2, 3)).runs[f"unet-fold{fold}"]
    assert ids(run.slides("test")) == [test]
    assert ids(run.slides("validation")) == [validation]
    assert ids(run.slides("training")) == training


def test_every_slide_tests_exactly_once_over_all_folds(tmp_path):
    runs = load(tmp_path, with_folds(0, 1, 2, 2, 1, 0)).runs.values()
    tested = [slide.id for run in runs for slide in run.slides("test")]
    assert sorted(tested) == [f"s{number}" for number in range(6)]
    for run in runs:
        parts = [set(ids(run.slides(split))) for split in ("training", "validation", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 6


def test_slides_that_say_what_they_do_keep_to_it_while_other_folds_test(tmp_path):
    rows = made_config.folds(0, 0, 1, 1, 1)
    for number, split in enumerate(("validation", None, "validation", "training", None)):
        rows[number] |= {} if split is None else {"split": split}
    runs = load(tmp_path, {"colon": made_config.dataset(slides=rows)}).runs
    found = [
        [ids(run.slides(split)) for split in ("training", "validation", "test")]
        for run in (runs["unet-fold0"], runs["unet-fold1"])
    ]
    assert found == [[["s3", "s4"], ["s2"], ["s0", "s1"]], [["s1"], ["s0"], ["s2", "s3", "s4"]]]


def test_made_folds_with_validators_come_from_the_sheet(tmp_path):
    rows = [{"id": name, "patient": name} for name in "abcd"]
    made = {"colon": made_config.dataset(slides=rows, splits={"folds": 2, "validation": 0.5})}
    run = load(tmp_path, made).runs["unet-fold1"]
    sheet = dict(zip("abcd", map(Side, ["training", "validation"] * 2, [0, 0, 1, 1]), strict=True))
    assert [ids(run.slides(split, sheet)) for split in ("training", "validation", "test")] == [
        ["a"],
        ["b"],
        ["c", "d"],
    ]
    assert run.slides("training") == run.slides("test") == ()


@pytest.mark.parametrize(
    ("splits", "wanted", "side", "found"),
    [
        ({"folds": 3}, "fold", Side("test"), "'test'"),
        ({"folds": 2, "validation": 0.5}, "fold and split", Side(fold=1), "fold 1"),
        ({"ratios": {"training": 0.4, "validation": 0.3, "test": 0.3}}, "split", Side(fold=1), "fold 1"),
        ({"folds": 3}, "fold", None, "nothing"),
    ],
)
def test_a_sheet_of_another_kind_of_splits_is_refused(tmp_path, splits, wanted, side, found):
    rows = [{"id": name, "patient": name} for name in "abcd"]
    made = {"colon": made_config.dataset(slides=rows, splits=splits)}
    run = next(iter(load(tmp_path, made).runs.values()))
    with pytest.raises(ConfigError) as caught:
        run.slides("training", {} if side is None else {"a": side})
    assert str(caught.value) == (
        f"dataset colon: the sheet of splits has {found} for slide 'a', wanted its {wanted}; make it again with "
        "make-splits"
    )


def test_made_splits_come_from_the_sheet_that_was_written(tmp_path):
    rows = [{"id": name, "patient": name} for name in "abc"]
    shares = {"training": 0.4, "validation": 0.3, "test": 0.3}
    made = {"colon": made_config.dataset(slides=rows, splits={"ratios": shares})}
    run = load(tmp_path, made).runs["unet"]
    sheet = {"a": Side("test"), "b": Side("training"), "c": Side("validation")}
    assert [ids(run.slides(split, sheet)) for split in ("training", "validation", "test")] == [
        ["b"],
        ["c"],
        ["a"],
    ]
    folds = {"colon": made_config.dataset(slides=rows, splits={"folds": 3})}
    run = load(tmp_path, folds).runs["unet-fold1"]
    sheet = {"a": Side(fold=2), "b": Side(fold=1), "c": Side(fold=0)}
    assert [ids(run.slides(split, sheet)) for split in ("training", "validation", "test")] == [
        ["c"],
        ["a"],
        ["b"],
    ]


@pytest.mark.parametrize("split", ["training", "validation", "test"])
def test_split_without_slides_is_refused(tmp_path, split):
    rows = [one for one in made_config.SLIDES if one["split"] != split]
    assert complaint(tmp_path, {"colon": made_config.dataset(slides=rows)}) == (
        f"experiments.yaml: experiments.unet: dataset 'colon' has no slide in split {split!r}; give it one"
    )


def test_impossible_folds_are_named_with_those_that_are_possible(tmp_path):
    assert complaint(tmp_path, with_folds(0, 1, 2), {"a": made_config.experiment(folds=[0, 5])}) == (
        "experiments.yaml: experiments.a.folds: found [0, 5], possible: [0, 1, 2]"
    )


def test_unknown_names_are_answered_with_the_nearest(tmp_path):
    project = load(tmp_path)
    with pytest.raises(ConfigError) as caught:
        project.dataset("colno")
    assert str(caught.value) == (
        f"{tmp_path}/datasets.yaml: no dataset 'colno'; did you mean 'colon'? possible: colon"
    )
    with pytest.raises(ConfigError) as caught:
        project.run("unett")
    assert (
        str(caught.value)
        == f"{tmp_path}/experiments.yaml: no run 'unett'; did you mean 'unet'? possible: unet"
    )
    with pytest.raises(ConfigError) as caught:
        project.dataset("colon").slide("x")
    assert str(caught.value) == "no slide 'x'; possible: a, b, c"


def test_what_is_worked_out_once_is_not_taken_into_a_changed_copy(tmp_path):
    dataset = load(tmp_path).datasets["colon"]
    assert dataset.folds is None
    assert dataset.label_map.classes[0].name == "stroma"
    slides = tuple(
        one.model_copy(update={"id": f"x{fold}", "split": None, "fold": fold})
        for fold, one in enumerate(dataset.slides)
    )
    changed = dataset.model_copy(update={"slides": slides})
    assert changed.folds == (0, 1, 2)
    assert [changed.slide(f"x{fold}").side for fold in range(3)] == [Side(None, fold) for fold in range(3)]
    assert ids(dataset.slides) == ["a", "b", "c"]
    assert dataset.slide("a").side == Side("training")


def test_what_is_worked_out_once_is_no_part_of_the_settings(tmp_path):
    fresh, used = (load(tmp_path).datasets["colon"] for _ in range(2))
    assert (used.folds, used.says_who_validates, used.slide("a").side.split) == (None, False, "training")
    assert len(used.label_map.classes) == 2
    assert used == fresh
    assert used.model_dump(mode="json") == fresh.model_dump(mode="json")
    assert digest(used) == digest(fresh)


@pytest.mark.parametrize("slides", [3, 30])
def test_who_validates_is_asked_once_however_many_slides_there_are(tmp_path, monkeypatch, slides):
    """Asked for every slide and run again, a plan of a thousand slides took four times as long."""
    from hooknet.config import datasets

    three_folds = with_folds(*[number % 3 for number in range(slides)])
    runs = load(tmp_path, three_folds, dict.fromkeys("abc", made_config.EXPERIMENT)).runs
    asked = []
    monkeypatch.setattr(datasets, "validates", lambda sides: asked.append(len(sides)) or False)
    found = [len(run.slides(split)) for run in runs.values() for split in ("training", "validation", "test")]
    assert found == [slides // 3] * 27
    assert asked == [slides]


def test_masks_have_the_finest_target_spacing_of_their_dataset(tmp_path):
    datasets = {"colon": made_config.DATASET, "other": made_config.DATASET, "unused": made_config.DATASET}
    experiments = {
        "a": made_config.experiment(spacings=[2.0]),
        "b": made_config.experiment(model="hooknet", spacings=[1.0, 8.0]),
        "c": made_config.experiment(dataset="other", spacings=[0.25]),
    }
    project = load(tmp_path, datasets, experiments)
    assert project.mask_spacing("colon") == 1.0
    assert project.mask_spacing("other") == 0.25
    with pytest.raises(ConfigError) as caught:
        project.mask_spacing("unused")
    assert str(caught.value) == (
        f"{tmp_path}/experiments.yaml: no experiment uses dataset 'unused', so its masks have no spacing; add one"
    )


def test_missing_files_are_one_line_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.tif", "c.tif", "a.xml", "b.xml"):
        Path(name).touch()
    Path("truth.png").mkdir()  # a folder is no file
    rows = [{**one, "truth": "truth.png"} if one["id"] == "c" else one for one in made_config.SLIDES]
    experiments = {"unet": made_config.experiment(train={"init_from": "start.ckpt"})}
    lines = missing_files(load(tmp_path, {"colon": made_config.dataset(slides=rows)}, experiments))
    correct = "correct the path (paths start at the working directory)"
    assert lines == [
        f"{tmp_path}/datasets.yaml: datasets.colon: slide 'c': annotation: found no file 'c.xml'; {correct}",
        f"{tmp_path}/datasets.yaml: datasets.colon: slide 'c': truth: found no file 'truth.png'; {correct}",
        f"{tmp_path}/experiments.yaml: experiments.unet.train.init_from: found no file 'start.ckpt'; {correct}",
    ]


def test_checkpoint_that_a_run_of_the_same_file_will_make_is_not_missing(tmp_path):
    experiments = {
        "a": made_config.EXPERIMENT,
        "b": made_config.experiment(train={"init_from": "results/runs/a/best.ckpt"}),
    }
    lines = missing_files(load(tmp_path, {"colon": made_config.dataset(**PHANTOM)}, experiments))
    assert lines == []


def test_phantoms_are_not_missing(tmp_path):
    assert missing_files(load(tmp_path, {"colon": made_config.dataset(**PHANTOM)})) == []


def test_phantoms_elsewhere_than_they_are_drawn_are_refused(tmp_path):
    files = {**PHANTOM["files"], "truth": "truth/{id}.tif"}
    assert complaint(tmp_path, {"colon": made_config.dataset(phantom={}, files=files)}) == (
        "datasets.yaml: datasets.colon: slide 'a': truth: found 'truth/a.tif', but a phantom's is drawn to "
        "'results/demo/truth/a.tif'; name that"
    )


def test_two_phantoms_of_one_id_are_refused(tmp_path):
    two = {"colon": made_config.dataset(**PHANTOM), "other": made_config.dataset(**PHANTOM)}
    assert complaint(tmp_path, two) == (
        "datasets.yaml: datasets.other: phantom slide 'a' stands in dataset 'colon' too; rename one"
    )


def test_digest_depends_on_settings_and_not_on_the_order_of_keys():
    # The very characters: a digest that changed between versions would run everything again.
    assert digest({"b": 1, "a": (1, 2)}) == digest({"a": [1, 2], "b": 1}) == "8759360617cd4e1f"
    assert digest(TissueSettings()) == digest(TissueSettings(spacing=8))
    assert digest(TissueSettings()) != digest(TissueSettings(spacing=8.5))
    assert digest("a", "b") != digest("ab")
    assert digest(None) != digest("None")


@pytest.mark.parametrize("settings", [{"checkpoint": "{}"}, {"train": {"init_from": "{}"}}])
def test_weights_of_another_fold_are_refused_since_they_have_seen_the_test_slides(tmp_path, settings):
    path = "results/runs/base-fold0/best.ckpt"
    filled = {key: path if isinstance(value, str) else {"init_from": path} for key, value in settings.items()}
    experiments = {"base": made_config.EXPERIMENT, "more": made_config.experiment(**filled)}
    key = "checkpoint" if "checkpoint" in settings else "train.init_from"
    assert complaint(tmp_path, with_folds(0, 1, 2), experiments) == (
        f"experiments.yaml: experiments.more.{key}: run 'more-fold1' would test on slides that {path!r} "
        "was trained or chosen on; give each fold an experiment of its own (`folds`)"
    )
    same = {"base": made_config.EXPERIMENT, "more": made_config.experiment(**filled, folds=[0])}
    assert list(load(tmp_path, with_folds(0, 1, 2), same).runs)[-1] == "more-fold0"
