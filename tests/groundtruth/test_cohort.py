from pathlib import Path

import pytest

from hooknet.config.branched import BranchedSettings
from hooknet.config.datasets import DatasetSettings
from hooknet.config.project import Project
from hooknet.config.sides import Side
from hooknet.errors import ConfigError, HookNetError
from hooknet.groundtruth.cohort import assign, check_classes, count_slides, read_areas
from hooknet.io.records import write_json

CLASSES = {"tumour": {"value": 1, "colour": "#ff0000"}, "stroma": {"value": 2, "colour": "#00ff00"}}


def dataset(slides, **more):
    rows = [{"slide": f"{one['id']}.tif", "annotation": f"{one['id']}.xml", **one} for one in slides]
    return DatasetSettings(classes=CLASSES, slides=rows, **more)


def project(cohort, **more):
    experiment = BranchedSettings(dataset="d", model="unet", spacings=(0.5,), **more)
    return Project({"d": cohort}, {"e": experiment}, Path("datasets.yaml"), Path("experiments.yaml"))


def areas(**counted):
    return {
        slide: {role: dict(zip(CLASSES, found, strict=True)) for role, found in roles.items()}
        for slide, roles in counted.items()
    }


GIVEN = [{"id": "a", "split": "training"}, {"id": "b", "split": "validation"}, {"id": "c", "split": "test"}]


def test_areas_are_the_counted_pixels_in_square_micrometres(tmp_path):
    cohort = dataset([{"id": "a", "split": "training", "truth": "a.png"}, *GIVEN[1:]])
    for slide in "abc":
        write_json(tmp_path / slide / "labels.json", {"spacing": 0.5, "pixels": {"tumour": 8, "stroma": 0}})
    write_json(tmp_path / "a" / "truth.json", {"spacing": 2.0, "pixels": {"tumour": 1, "stroma": 3}})
    found = read_areas(cohort, tmp_path)
    assert found["a"] == {"labels": {"tumour": 2.0, "stroma": 0.0}, "truth": {"tumour": 4.0, "stroma": 12.0}}
    assert found["c"] == {"labels": {"tumour": 2.0, "stroma": 0.0}}


def test_missing_counts_are_one_line(tmp_path):
    with pytest.raises(HookNetError, match=r"labels\.json"):
        read_areas(dataset(GIVEN), tmp_path)


def test_given_splits_and_folds_are_taken_as_they_are():
    assert assign(dataset(GIVEN), {}) == {one["id"]: Side(one["split"]) for one in GIVEN}
    folds = dataset([{"id": name, "fold": fold} for fold, name in enumerate("abc")])
    assert assign(folds, {}) == {"a": Side(fold=0), "b": Side(fold=1), "c": Side(fold=2)}


def test_where_some_say_that_they_validate_the_others_train():
    rows = [("a", 0, "validation"), ("b", 0, None), ("c", 1, "validation"), ("d", 1, "training")]
    cohort = dataset([{"id": slide, "fold": fold, "split": split} for slide, fold, split in rows])
    assert assign(cohort, {}) == {slide: Side(split or "training", fold) for slide, fold, split in rows}
    assert count_slides(cohort, assign(cohort, {})) == [
        "fold 0: 1 training, 1 validation, 2 test",
        "fold 1: 1 training, 1 validation, 2 test",
    ]


def test_made_folds_with_a_share_for_validation_say_who_validates():
    slides = [{"id": f"s{number}", "patient": f"p{number // 2}"} for number in range(24)]
    cohort = dataset(slides, splits={"folds": 2, "validation": 0.3333})
    found = assign(cohort, areas(**{one["id"]: {"labels": (5.0, 7.0)} for one in slides}))
    assert sorted(map(str, found.values())) == sorted(
        [str(Side(split, fold)) for split in ("training", "validation") for fold in (0, 1)] * 4
        + [str(Side("training", fold)) for fold in (0, 1)] * 4
    )
    assert all(found[f"s{2 * number}"] == found[f"s{2 * number + 1}"] for number in range(12))
    assert count_slides(cohort, found) == [
        "fold 0: 8 training, 4 validation, 12 test",
        "fold 1: 8 training, 4 validation, 12 test",
    ]


def test_counts_of_one_split_are_one_line():
    assert count_slides(dataset(GIVEN), assign(dataset(GIVEN), {})) == ["1 training, 1 validation, 1 test"]


def test_made_folds_keep_patients_whole_and_use_every_fold():
    slides = [{"id": f"s{number}", "patient": f"p{number // 2}"} for number in range(12)]
    cohort = dataset(slides, splits={"folds": 3, "seed": 4})
    found = assign(cohort, areas(**{one["id"]: {"labels": (5.0, 7.0)} for one in slides}))
    assert sorted(one.fold for one in found.values()) == [0] * 4 + [1] * 4 + [2] * 4
    assert {one.split for one in found.values()} == {None}
    assert all(found[f"s{2 * number}"] == found[f"s{2 * number + 1}"] for number in range(6))


def test_made_ratios_are_met():
    slides = [{"id": f"s{number}"} for number in range(10)]
    cohort = dataset(slides, splits={"ratios": {"training": 0.6, "validation": 0.2, "test": 0.2}})
    found = list(assign(cohort, areas(**{one["id"]: {"labels": (5.0, 7.0)} for one in slides})).values())
    assert [found.count(Side(side)) for side in ("training", "validation", "test")] == [6, 2, 2]


def test_too_few_patients_are_an_error():
    slides = [{"id": f"s{number}", "patient": f"p{number // 2}"} for number in range(4)]
    with pytest.raises(ConfigError) as caught:
        assign(
            dataset(slides, splits={"folds": 3}),
            areas(**{one["id"]: {"labels": (1.0, 1.0)} for one in slides}),
        )
    assert str(caught.value) == ("splits: 2 patients cannot fill 3 splits; add patients or make fewer splits")
    with pytest.raises(ConfigError) as caught:
        assign(dataset(slides, splits={"folds": 2, "validation": 0.5}), {})
    assert str(caught.value) == (
        "splits: 2 patients cannot fill 2 folds of training and validation; add patients or make fewer splits"
    )


def test_validators_that_lack_a_class_are_an_error():
    rows = [("a", 0, "validation"), ("b", 0, "training"), ("c", 1, "validation"), ("d", 1, "training")]
    cohort = dataset([{"id": slide, "fold": fold, "split": split} for slide, fold, split in rows])
    both = {"labels": (1.0, 1.0)}
    found = areas(a=both, b=both, c={"labels": (1.0, 0.0)}, d=both)
    with pytest.raises(ConfigError, match=r"no validation slide of run e-fold0 .* \(its slides: c\); move"):
        check_classes(project(cohort), "d", assign(cohort, {}), found)
    check_classes(project(cohort, folds=[1]), "d", assign(cohort, {}), found)


def test_made_splits_that_lack_a_class_are_not_told_to_move_slides():
    slides = [{"id": name} for name in "abc"]
    cohort = dataset(slides, splits={"folds": 3})
    found = areas(**{name: {"labels": (1.0, float(name == "a"))} for name in "abc"})
    with pytest.raises(ConfigError, match="; ask for other splits, annotate more, or take the class out"):
        check_classes(project(cohort), "d", assign(cohort, found), found)


def test_a_split_without_a_class_is_an_error_that_names_run_split_class_and_slides():
    both = {"labels": (1.0, 1.0)}
    cohort = dataset(GIVEN)
    given = assign(cohort, {})
    check_classes(project(cohort), "d", given, areas(a=both, b=both, c=both))
    for slide, split in zip("abc", ("training", "validation", "test"), strict=True):
        found = areas(**{"a": both, "b": both, "c": both, slide: {"labels": (1.0, 0.0)}})
        with pytest.raises(ConfigError) as caught:
            check_classes(project(cohort), "d", given, found)
        assert str(caught.value) == (
            f"datasets.yaml: datasets.d: no {split} slide of run e has an annotated pixel of stroma (its slides: "
            f"{slide}); move a slide that has, annotate more, or take the class out"
        )


def test_testing_looks_at_truth_and_training_at_labels():
    cohort = dataset([GIVEN[0], GIVEN[1], {**GIVEN[2], "truth": "c.png"}])
    both = {"labels": (1.0, 1.0)}
    given = assign(cohort, {})
    check_classes(
        project(cohort), "d", given, areas(a=both, b=both, c={"labels": (0.0, 0.0), "truth": (1.0, 1.0)})
    )
    with pytest.raises(ConfigError, match="no test slide"):
        check_classes(
            project(cohort), "d", given, areas(a=both, b=both, c={"labels": (1.0, 1.0), "truth": (1.0, 0.0)})
        )


def test_a_test_fold_may_lack_a_class_but_no_other():
    cohort = dataset([{"id": name, "fold": fold} for fold, name in enumerate("abc")])
    given = assign(cohort, {})
    both = {"labels": (1.0, 1.0)}
    check_classes(project(cohort, folds=[0]), "d", given, areas(a={"labels": (1.0, 0.0)}, b=both, c=both))
    with pytest.raises(ConfigError, match="no validation slide of run e-fold0"):
        check_classes(project(cohort, folds=[0]), "d", given, areas(a=both, b={"labels": (1.0, 0.0)}, c=both))


def test_test_slides_that_nobody_annotated_are_not_asked_for():
    cohort = dataset([GIVEN[0], GIVEN[1], {**GIVEN[2], "annotation": None}])
    both = {"labels": (1.0, 1.0)}
    check_classes(project(cohort), "d", assign(cohort, {}), areas(a=both, b=both, c={}))


def test_runs_on_other_datasets_are_not_looked_at():
    cohort = dataset(GIVEN)
    everything = Project(
        {"d": cohort, "other": cohort}, project(cohort).experiments, Path("d.yaml"), Path("e.yaml")
    )
    check_classes(everything, "other", {}, {})
