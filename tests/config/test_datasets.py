import copy

import made_config
import pytest
from pydantic import ValidationError

from hooknet.config.datasets import SlideSettings, is_raster
from hooknet.config.project import load_project
from hooknet.coordinates import Spacing
from hooknet.errors import ConfigError


def loaded(tmp_path, **changes):
    paths = made_config.write(tmp_path, {"colon": made_config.dataset(**changes)})
    return load_project(*paths).datasets["colon"]


def complaint(tmp_path, **changes):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, **changes)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/datasets.yaml: ")


def slides(*changes):
    """The three slides, each with some keys changed."""
    return [
        made_config.merged(one, changed) for one, changed in zip(made_config.SLIDES, changes, strict=False)
    ]


def divided(text):
    """A slide and patient for each word: its fold, and t or v where it says that it trains or validates."""
    said = {"t": {"split": "training"}, "v": {"split": "validation"}, "": {}}
    rows = made_config.folds(*(int(word[0]) for word in text.split()))
    return [{**row, **said[word[1:]]} for row, word in zip(rows, text.split(), strict=True)]


def classes(**changes):
    result = copy.deepcopy(made_config.CLASSES)
    for name, changed in changes.items():
        result[name] = {**result.get(name, {}), **changed}
    return result


KEYS = (
    "classes, channels, hole_groups, hole_order, ignore_groups, region_groups, region_default, origin, files, slides, "
    "splits, phantom, tissue, centres, report"
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"klasses": {}}, f"datasets.colon.klasses: unknown key; did you mean 'classes'? possible: {KEYS}"),
        ({"classes": None}, "datasets.colon.classes: is missing and has no default"),
        ({"classes": 3}, "datasets.colon.classes: found 3, wanted a mapping of keys to settings"),
        ({"classes": {}}, "datasets.colon.classes: found no class, wanted one at least"),
        ({"classes": classes(gland={"value": 3})},
         "datasets.colon.classes: values are [1, 3], wanted 1..2, each once (0 means not annotated)"),
        ({"classes": classes(gland={"value": 1})},
         "datasets.colon.classes: values are [1, 1], wanted 1..2, each once (0 means not annotated)"),
        ({"classes": classes(gland={"value": 0})},
         "datasets.colon.classes.gland.value: found 0, wanted greater than or equal to 1"),
        ({"classes": classes(gland={"value": 1.5})},
         "datasets.colon.classes.gland.value: found 1.5, wanted a whole number"),
        ({"classes": classes(gland={"colour": "red"})},
         "datasets.colon.classes.gland.colour: found 'red', wanted a colour like '#c1121f' (in quotes)"),
        ({"classes": classes(gland={"color": "#ffffff"})},
         "datasets.colon.classes.gland.color: unknown key; did you mean 'colour'? "
         "possible: value, colour, groups, raster_values, order, objects"),
        ({"classes": classes(**{"two words": {"value": 3, "colour": "#ffffff"}})},
         "datasets.colon.classes.two words: found 'two words', wanted letters, digits, '_', '.' or '-', "
         "the first a letter or a digit"),
        ({"hole_groups": ["gland"]},
         "datasets.colon: group 'gland' stands in classes.gland and in hole_groups; it can mean one thing"),
        ({"hole_groups": ["x"], "ignore_groups": ["x"]},
         "datasets.colon: group 'x' stands in hole_groups and in ignore_groups; it can mean one thing"),
        ({"ignore_groups": ["x"], "region_groups": ["x"]},
         "datasets.colon: group 'x' stands in ignore_groups and in region_groups; it can mean one thing"),
        ({"classes": classes(gland={"groups": ["stroma"]})},
         "datasets.colon: group 'stroma' stands in classes.stroma and in classes.gland; it can mean one thing"),
        ({"hole_groups": "lumen"}, "datasets.colon.hole_groups: found 'lumen', wanted a list"),
        ({"region_groups": ["roi"], "region_default": "stoma"},
         "datasets.colon: region_default 'stoma' is no class; did you mean 'stroma'? possible: stroma, gland"),
        ({"region_default": "stroma"},
         "datasets.colon: region_default 'stroma' fills regions of interest, but there are no region_groups; "
         "name them"),
        ({"origin": "corner"}, "datasets.colon.origin: found 'corner', wanted 'slide' or 'bounds'"),
        ({"files": {"slide": "{ID}.tif"}}, "datasets.colon.files.slide: found {ID} in '{ID}.tif', possible: {id}"),
        ({"files": {"slides": "{id}.tif"}},
         "datasets.colon.files.slides: unknown key; did you mean 'slide'? "
         "possible: slide, annotation, truth, infer_mask"),
        ({"files": {"annotation": "{id}.xml"}},
         "datasets.colon: slide 'a' names no file; set its `slide`, or the dataset's `files.slide`"),
        ({"slides": []}, "datasets.colon: no slides; list at least one"),
        ({"slides": 3}, "datasets.colon.slides: found 3, wanted a list"),
        ({"tissue": {"spacing": 1001}}, "datasets.colon.tissue.spacing: found 1001, wanted less than or equal to 1000"),
        ({"tissue": {"close_um": 1e308}},
         "datasets.colon.tissue.close_um: found 1e+308, wanted less than or equal to 10000"),
        ({"tissue": {"spacing": 0}}, "datasets.colon.tissue.spacing: found 0, wanted greater than 0"),
        ({"tissue": {"threshold": 3}}, "datasets.colon.tissue.threshold: found 3, wanted less than 3"),
        ({"centres": {"per_class": 0}},
         "datasets.colon.centres.per_class: found 0, wanted greater than or equal to 1"),
        ({"centres": {"seed": -1}}, "datasets.colon.centres.seed: found -1, wanted greater than or equal to 0"),
        ({"phantom": {"size_um": ".inf"}}, "datasets.colon.phantom.size_um: found '.inf', wanted a number"),
        ({"phantom": {"size_um": float("inf")}}, "datasets.colon.phantom.size_um: found inf, wanted a number"),
    ],
)  # fmt: skip
def test_wrong_keys_and_values_are_one_exact_line(tmp_path, changes, message):
    assert complaint(tmp_path, **changes) == message


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (slides({"id": None}, {}, {}), "datasets.colon.slides.0.id: is missing and has no default"),
        (slides({"id": "a/b"}, {}, {}),
         "datasets.colon.slides.0.id: found 'a/b', wanted letters, digits, '_', '.' or '-', "
         "the first a letter or a digit"),
        (slides({"id": 7}, {}, {}),
         "datasets.colon.slides.0.id: found 7, wanted text (in quotes where it looks like a number)"),
        (slides({"patinet": "p1"}, {}, {}),
         "datasets.colon.slides.0.patinet: unknown key; did you mean 'patient'? "
         "possible: id, slide, annotation, truth, patient, grade, split, fold, spacing, infer_mask, "
         "volume, position, thickness"),
        (slides({}, {"id": "a"}, {}), "datasets.colon: slide id 'a' stands twice (also as 'a'); ids are unique"),
        (slides({}, {"id": "A"}, {}), "datasets.colon: slide id 'A' stands twice (also as 'a'); ids are unique"),
        (slides({"split": "train"}, {}, {}),
         "datasets.colon.slides.0.split: found 'train', wanted 'training', 'validation' or 'test'"),
        (slides({}, {"patient": "p1"}, {}),
         "datasets.colon: patient 'p1' leaks: slide 'a' is in 'training', slide 'b' in 'validation'; "
         "keep all slides of a patient together"),
        # A slide without a patient is one of its own, which may be called like another's.
        (slides({"patient": None}, {"patient": "a"}, {}),
         "datasets.colon: patient 'a' leaks: slide 'a' is in 'training', slide 'b' in 'validation'; "
         "keep all slides of a patient together"),
        (slides({}, {"slide": "a.tif"}, {}),
         "datasets.colon: slides 'a' and 'b' are one file 'a.tif' of two patients, 'p1' and 'p2'; "
         "give both one patient or take one out"),
        (slides({}, {}, {"split": None}),
         "datasets.colon: slide 'c' has no split or fold although others have; give it one"),
        (slides({}, {}, {"split": None, "fold": 0}),
         "datasets.colon: slide 'a' has no fold although others have; give it one"),
        (slides({}, {}, {"fold": 0}),
         "datasets.colon: slide 'c' is in split 'test' and in fold 0; a fold tests as a whole, so take one of the "
         "two out"),
        (slides({"annotation": "-"}, {}, {}),
         "datasets.colon: slide 'a' has no annotation, but it is in split 'training'; annotate it or take it out"),
        (slides({}, {"annotation": "-"}, {}),
         "datasets.colon: slide 'b' has no annotation, but it is in split 'validation'; annotate it or take it out"),
        (slides({"spacing": "x"}, {}, {}),
         "datasets.colon.slides.0.spacing: found 'x', wanted the spacing in µm/px (0.02..50), or one for x and one "
         "for y"),
        (slides({"spacing": 250}, {}, {}),
         "datasets.colon.slides.0.spacing: found 250, wanted the spacing in µm/px (0.02..50), or one for x and one "
         "for y"),
        (slides({"spacing": [0.2, 0.2, 0.2]}, {}, {}),
         "datasets.colon.slides.0.spacing: found [0.2, 0.2, 0.2], wanted the spacing in µm/px (0.02..50), or one for "
         "x and one for y"),
        (slides({"spacing": float("nan")}, {}, {}),
         "datasets.colon.slides.0.spacing: found nan, wanted the spacing in µm/px (0.02..50), or one for x and one "
         "for y"),
        (made_config.folds(0, 1), "datasets.colon: folds are [0, 1], wanted 0..k-1 with k at least 3 "
         "(one tests, the next validates), or with slides in split 'validation' 2"),
        (made_config.folds(1, 2, 3), "datasets.colon: folds are [1, 2, 3], wanted 0..k-1 with k at least 3 "
         "(one tests, the next validates), or with slides in split 'validation' 2"),
        (divided("0t 0v"), "datasets.colon: folds are [0], wanted 0..k-1 with k at least 2"),
        (divided("0t 0v 2t 2v"), "datasets.colon: folds are [0, 2], wanted 0..k-1 with k at least 2"),
        (divided("0t 0v 1t 1"), "datasets.colon: while fold 0 tests, no slide of another fold is in split "
         "'validation'; give it one"),
        (divided("0v 0v 1t 1v"), "datasets.colon: while fold 1 tests, no slide of another fold is in split "
         "'training'; give it one"),
        (divided("0t 1t 2t"), "datasets.colon: slide 's0' of fold 0 is in split 'training', but no slide of any fold "
         "is in 'validation'; say which validate, or leave the split out"),
        ([*divided("0t 0v 1t 1v"), {"id": "t", "patient": "p0", "fold": 0, "split": "validation"}],
         "datasets.colon: patient 'p0' leaks: slide 's0' is in fold 0 ('training'), slide 't' in fold 0 "
         "('validation'); keep all slides of a patient together"),
        ([*divided("0t 0v 1t 1v"), {"id": "t", "patient": "p1", "fold": 0}],
         "datasets.colon: patient 'p1' leaks: slide 's1' is in fold 0 ('validation'), slide 't' in fold 0 "
         "('training'); keep all slides of a patient together"),
        (made_config.folds(0, 1, -2),
         "datasets.colon.slides.2.fold: found -2, wanted greater than or equal to 0"),
        ([*made_config.folds(0, 1, 2), {"id": "t", "patient": "p0", "fold": 2}],
         "datasets.colon: patient 'p0' leaks: slide 's0' is in fold 0, slide 't' in fold 2; "
         "keep all slides of a patient together"),
        ([*made_config.folds(0, 1, 2), {"id": "t", "fold": 2, "annotation": "-"}],
         "datasets.colon: slide 't' has no annotation, but every slide of a fold trains or validates at "
         "some time; annotate it or take it out"),
    ],
)  # fmt: skip
def test_wrong_slides_are_one_exact_line(tmp_path, rows, message):
    assert complaint(tmp_path, slides=rows) == message


BARE = [{"id": one["id"], "patient": one["patient"]} for one in made_config.SLIDES]


@pytest.mark.parametrize(
    ("options", "rows", "message"),
    [
        ({}, BARE, "datasets.colon.splits: give either folds or ratios"),
        ({"folds": 3, "ratios": {"training": 0.5, "validation": 0.2, "test": 0.3}}, BARE,
         "datasets.colon.splits: give either folds or ratios"),
        ({"folds": 1}, BARE, "datasets.colon.splits.folds: found 1, wanted greater than or equal to 2"),
        ({"folds": 2}, BARE, "datasets.colon.splits: folds is 2, wanted 3 or more (one tests, the next validates, the "
         "others train), or a share for `validation`"),
        ({"folds": 3, "validation": 0}, BARE, "datasets.colon.splits.validation: found 0, wanted greater than 0"),
        ({"folds": 3, "validation": 1}, BARE, "datasets.colon.splits.validation: found 1, wanted less than 1"),
        ({"ratios": {"training": 0.5, "validation": 0.2, "test": 0.3}, "validation": 0.2}, BARE,
         "datasets.colon.splits: `validation` goes with folds, and ratios have their own; leave it out"),
        ({"validation": 0.2}, BARE, "datasets.colon.splits: give either folds or ratios"),
        ({"ratios": {"training": 0.5, "test": 0.5}}, BARE,
         "datasets.colon.splits: ratios need a share above 0 for each of training, validation, test"),
        ({"ratios": {"training": 0.5, "validation": 0, "test": 0.5}}, BARE,
         "datasets.colon.splits: ratios need a share above 0 for each of training, validation, test"),
        ({"ratios": {"training": 0.5, "validation": 0.2, "test": 0.2}}, BARE,
         "datasets.colon.splits: ratios add up to 0.9, wanted 1"),
        ({"ratios": {"train": 0.5, "validation": 0.2, "test": 0.3}}, BARE,
         "datasets.colon.splits.ratios.train: found 'train', wanted 'training', 'validation' or 'test'"),
        ({"folds": 3}, made_config.SLIDES,
         "datasets.colon: splits are both made (`splits`) and given in the slides; keep one"),
        ({"folds": 3}, made_config.folds(0, 1, 2),
         "datasets.colon: splits are both made (`splits`) and given in the slides; keep one"),
        ({"folds": 3}, [*BARE[:2], {**BARE[2], "annotation": "-"}],
         "datasets.colon: slide 'c' has no annotation, but every slide needs one where splits are made, "
         "since they are made from the classes; annotate it or take it out"),
    ],
)  # fmt: skip
def test_wrong_splits_are_one_exact_line(tmp_path, options, rows, message):
    assert complaint(tmp_path, splits=options, slides=rows) == message


def test_patterns_fill_what_a_row_leaves_empty_and_a_dash_means_none(tmp_path):
    rows = slides({"slide": "other.svs"}, {"annotation": ""}, {"annotation": "-"})
    found = loaded(tmp_path, slides=rows).slides
    assert [one.slide for one in found] == ["other.svs", "b.tif", "c.tif"]
    assert [one.annotation for one in found] == ["a.xml", "b.xml", None]
    assert [one.truth for one in found] == [None] * 3


def test_test_slides_need_no_annotation(tmp_path):
    assert loaded(tmp_path, slides=slides({}, {}, {"annotation": "-"})).slides[2].annotation is None


def test_one_file_may_be_two_slides_of_one_patient(tmp_path):
    rows = [*made_config.SLIDES, {"id": "d", "slide": "a.tif", "patient": "p1", "split": "training"}]
    assert len(loaded(tmp_path, slides=rows).slides) == 4


@pytest.mark.parametrize(
    ("text", "spacing"),
    [
        ("0.25", Spacing(0.25, 0.25)),
        (0.25, Spacing(0.25, 0.25)),
        (1, Spacing(1.0, 1.0)),
        ("0.25 x 0.26", Spacing(0.25, 0.26)),
        ("0.25X0.26", Spacing(0.25, 0.26)),
        ([0.25, 0.26], Spacing(0.25, 0.26)),
        (None, None),
    ],
)
def test_spacing_is_one_number_or_two(text, spacing):
    assert SlideSettings(id="a", spacing=text).spacing_override == spacing


def test_label_map_is_in_order_of_values_and_paints_in_order_of_the_file(tmp_path):
    spec = {
        "b": {"value": 2, "colour": "#AABBCC", "groups": ["B", "beta"]},
        "a": {"value": 1, "colour": "#010203"},
        "c": {"value": 3, "colour": "#040506", "groups": [], "order": -1},
    }
    found = loaded(
        tmp_path,
        classes=spec,
        hole_groups=["h"],
        region_groups=["r"],
        region_default="b",
        ignore_groups=["i"],
    ).label_map
    assert found.names == ("a", "b", "c")
    assert [(one.groups, one.order, one.colour) for one in found.classes] == [
        (("a",), 1, "#010203"),
        (("B", "beta"), 0, "#aabbcc"),
        ((), -1, "#040506"),
    ]
    # Holes come last unless they are told to come earlier.
    assert found.hole_order == 2
    assert found.region_default == 2
    assert found.groups == ("a", "B", "beta", "h", "i", "r")
    assert loaded(tmp_path, hole_order=0).label_map.hole_order == 0


def test_class_without_groups_leaves_its_name_to_others(tmp_path):
    found = loaded(tmp_path, classes=classes(gland={"groups": []}), ignore_groups=["gland"]).label_map
    assert found.class_of("gland") is None


def test_a_slide_of_a_fold_may_test_and_one_of_another_split_may_not(tmp_path):
    assert [one.may_test for one in loaded(tmp_path).slides] == [False, False, True]
    assert [one.may_test for one in loaded(tmp_path, slides=divided("0t 0v 1 1v")).slides] == [True] * 4
    assert [one.may_test for one in loaded(tmp_path, slides=BARE, splits={"folds": 3}).slides] == [True] * 3


def test_it_is_known_whether_somebody_said_who_validates(tmp_path):
    assert not loaded(tmp_path).says_who_validates
    assert not loaded(tmp_path, slides=made_config.folds(0, 1, 2)).says_who_validates
    assert loaded(tmp_path, slides=divided("0t 0v 1 1v")).says_who_validates
    assert not loaded(tmp_path, slides=BARE, splits={"folds": 3}).says_who_validates
    assert loaded(tmp_path, slides=BARE, splits={"folds": 2, "validation": 0.5}).says_who_validates


def test_folds_are_those_given_or_those_to_be_made(tmp_path):
    assert loaded(tmp_path).folds is None
    assert loaded(tmp_path, slides=made_config.folds(0, 2, 1, 1)).folds == (0, 1, 2)
    assert loaded(tmp_path, slides=BARE, splits={"folds": 4}).folds == (0, 1, 2, 3)
    shares = {"training": 0.5, "validation": 0.25, "test": 0.25}
    assert loaded(tmp_path, slides=BARE, splits={"ratios": shares}).folds is None


@pytest.mark.parametrize(
    ("path", "raster"), [("a.png", True), ("a.TIF", True), ("a.tiff", True), ("a.xml", False), ("png", False)]
)
def test_rasters_are_told_by_their_suffix(path, raster):
    assert is_raster(path) is raster


@pytest.mark.parametrize("value", [True, [True, 0.5]])
def test_yes_is_no_spacing(value):
    with pytest.raises(ValidationError, match=r"wanted the spacing in µm/px"):
        SlideSettings.model_validate({"id": "a", "slide": "a.tif", "spacing": value})
