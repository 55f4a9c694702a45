import json
import logging
import os
import re
import shutil
from pathlib import Path

import made_slides
import made_stages
import numpy as np
import pytest
from made_cohort import HEIGHT, RUN, WIDTH, hooknet, image, refuse, snapshot

from hooknet.io.masks import Mask
from hooknet.io.uncertainty import open_uncertainty
from hooknet.models.checkpoint import load_checkpoint
from hooknet.objects.quantities import TISSUE, read_quantities

BEST = RUN / "best.ckpt"
NEW = Path("new")
FILES = {".slide.json", "areas.csv", "index.html", "map.geojson", "map.tif", "tissue.tif"}


@pytest.fixture(autouse=True)
def new_slides(cohort):
    """Two slides that no training has seen; one named as a test slide."""
    Path("in").mkdir()
    for number, name in ((7, "n1"), (8, "n2")):
        made_slides.write_slide(Path("in", f"{name}.tif"), image(number), spacing=1.0)


def predict(*slides, model=BEST, **options):
    flags = [one for key, value in options.items() for one in (f"--{key}", value)]
    return hooknet("predict", *slides, "--model", model, "--out", NEW, *flags)


def edited(change):
    """The checkpoint with another spec."""
    from hooknet.models.checkpoint import save_checkpoint

    found = load_checkpoint(BEST)

    class Weights:
        def state_dict(self):
            return found.state_dict

    spec = json.loads(json.dumps(found.spec))
    change(spec)
    save_checkpoint("edited.ckpt", Weights(), spec, found.extra)
    return Path("edited.ckpt")


def read(path):
    with Mask.open(path) as mask:
        return mask.read(0, 0, mask.grid.width, mask.grid.height)


def test_a_folder_gives_files_for_each_slide_and_one_page():
    outcome = predict("in")
    assert outcome.status == 0, outcome
    assert {path.name for path in NEW.iterdir()} == {"index.html", "n1", "n2"}
    assert {path.name for path in (NEW / "n1").iterdir()} == FILES
    assert outcome.out.splitlines()[0].startswith(
        f"n1: {WIDTH} x {HEIGHT} px at 1 µm/px, 0.0241 mm² to predict; about "
    )
    assert re.fullmatch(
        r"2 of 2 slides to predict: about \d+ s by torch on cpu, fp32, \d+ KB in new \(.* free\)",
        outcome.out.splitlines()[-1],
    )


def test_areas_are_those_of_the_px_of_the_map():
    assert predict("in/n1.tif").status == 0
    labels, tissue = read(NEW / "n1/map.tif"), read(NEW / "n1/tissue.tif")
    found = read_quantities(NEW / "n1/areas.csv")["n1"]
    for value, name in ((1, "stroma"), (2, "gland")):
        # 1 µm/px: a px is a millionth of a mm².
        assert found[name].area_mm2 == pytest.approx((labels == value).sum() / 1e6)
    assert (labels > 0).sum() > 20_000
    with Mask.open(NEW / "n1/tissue.tif") as mask:
        px = mask.grid.spacing**2 / 1e6
    assert found[TISSUE].area_mm2 == pytest.approx((tissue > 0).sum() * px, rel=0.05)


def test_the_map_is_that_of_infer():
    # The test slide of the cohort; labels ask for its annotated px besides.
    assert predict("c.tif").status == 0
    mine, theirs = read(NEW / "c/map.tif"), read(RUN / "maps/c.tif")
    assert np.array_equal(mine[mine > 0], theirs[mine > 0])


def test_outlines_have_names_and_colours_of_the_classes():
    assert predict("in/n1.tif").status == 0
    features = json.loads((NEW / "n1/map.geojson").read_text())["features"]
    named = {one["properties"]["classification"]["name"] for one in features}
    values = set(np.unique(read(NEW / "n1/map.tif"))) - {0}
    assert named == {("stroma", "gland")[value - 1] for value in values}


def test_what_is_there_is_not_made_again(caplog):
    caplog.set_level(logging.INFO)
    assert predict("in").status == 0
    before = snapshot(NEW / "n1")
    shutil.rmtree(NEW / "n2")
    outcome = predict("in")
    assert "1 of 2 slides to predict" in outcome.out
    assert "n1: its map is there" in caplog.text
    after = snapshot(NEW / "n1")
    assert {path for path in before if before[path] != after[path]} == {"new/n1/index.html"}
    assert read(NEW / "n2/map.tif").any()


def test_a_map_cut_short_is_made_again():
    assert predict("in/n1.tif").status == 0
    whole = (NEW / "n1/map.tif").read_bytes()
    (NEW / "n1/map.tif").write_bytes(whole[:-20])
    assert predict("in/n1.tif").status == 0
    assert (NEW / "n1/map.tif").read_bytes() == whole


@pytest.mark.parametrize(
    "change", [("n1,", "another,"), ("gland", "glands"), (",", ";"), ("slide", ""), ("0.", "0,")]
)
def test_a_table_that_was_saved_otherwise_is_made_again(change):
    assert predict("in/n1.tif").status == 0
    areas = NEW / "n1/areas.csv"
    whole = areas.read_text()
    areas.write_text(whole.replace(*change))
    assert areas.read_text() != whole
    assert predict("in/n1.tif").status == 0
    assert areas.read_text() == whole


@pytest.mark.parametrize("what", ["weights", "slide", "over"])
def test_a_map_of_something_else_is_made_again(what):
    assert predict("in/n1.tif").status == 0
    before = (NEW / "n1/map.tif").stat().st_mtime_ns
    model, options = BEST, {}
    if what == "weights":
        model = edited(lambda spec: spec.update(note="another file"))
    elif what == "slide":
        made_slides.write_slide(Path("in/n1.tif"), image(9), spacing=1.0)
    else:
        options["over"] = "everything"
    outcome = predict("in/n1.tif", model=model, **options)
    assert "1 of 1 slides to predict" in outcome.out
    assert (NEW / "n1/map.tif").stat().st_mtime_ns > before


def test_a_slide_of_the_same_name_and_size_in_another_folder_is_another_slide():
    """Nor does its time tell: a copy is as old as its original, older than the map of its namesake."""
    assert predict("in/n1.tif").status == 0
    Path("elsewhere").mkdir()
    turned = np.ascontiguousarray(image(7)[::-1, ::-1])
    made_slides.write_slide(Path("elsewhere/n1.tif"), turned, spacing=1.0)
    os.utime("elsewhere/n1.tif", (1, 1))
    first = read(NEW / "n1/map.tif")
    outcome = predict("elsewhere/n1.tif")
    assert "1 of 1 slides to predict" in outcome.out
    assert not np.array_equal(read(NEW / "n1/map.tif"), first)
    assert hooknet("predict", "elsewhere/n1.tif", "--model", BEST, "--out", "alone").status == 0
    for name in ("map.tif", "tissue.tif", "areas.csv", "map.geojson"):
        assert (NEW / "n1" / name).read_bytes() == Path("alone/n1", name).read_bytes()
    # Where it lies is no matter.
    shutil.copytree("elsewhere", "moved")
    os.utime("moved/n1.tif", (1, 1))
    assert "0 of 1 slides to predict" in predict("moved/n1.tif").out


def test_tissue_is_told_as_of_the_weights_that_predict():
    assert predict("in/n1.tif").status == 0
    before = read(NEW / "n1/tissue.tif")

    def strict(spec):
        spec["tissue"] = {**(spec["tissue"] or {}), "threshold": 0.3}

    assert predict("in/n1.tif", model=edited(strict)).status == 0
    assert read(NEW / "n1/tissue.tif").sum() < before.sum()


def test_a_slide_is_not_overwritten_by_its_results():
    (NEW / "map").mkdir(parents=True)
    shutil.copy("in/n1.tif", NEW / "map/map.tif")
    message = refuse("predict", NEW / "map/map.tif", "--model", BEST, "--out", NEW)
    assert message == "new/map/map.tif: would be overwritten by results in new; give another --out"


def test_everything_covers_all_px():
    assert predict("in/n1.tif", over="everything").status == 0
    assert (read(NEW / "n1/map.tif") > 0).all()
    assert predict("in/n1.tif").status == 0
    assert (read(NEW / "n1/map.tif") == 0).any()


def test_an_interrupted_map_goes_on(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    from hooknet.inference import kept

    keep, count = kept.KeptTiles.keep, []

    def killed(self, *rest):
        keep(self, *rest)
        count.append(1)
        if len(count) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(kept.KeptTiles, "keep", killed)
    assert predict("in/n1.tif").status == 130
    assert not (NEW / "n1/map.tif").exists()
    outcome = predict("in/n1.tif")
    assert outcome.status == 0
    assert "n1: continued at row" in caplog.text
    left = NEW / "n1"
    assert {path.name for path in left.iterdir()} == FILES
    whole = (left / "map.tif").read_bytes()
    shutil.rmtree(NEW)
    assert predict("in/n1.tif").status == 0
    assert (left / "map.tif").read_bytes() == whole


def test_a_bad_slide_does_not_lose_the_others(caplog):
    Path("in/bad.svs").write_text("hello")
    outcome = predict("in")
    assert outcome.status == 2
    (told,) = [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert told.startswith("bad: in/bad.svs: OpenSlide cannot open it (")
    assert outcome.err == (
        "hooknet: 1 of 3 slides cannot be predicted (bad), why is told above; the others are done; correct them and "
        "say the same again, or take them out\n"
    )
    assert {path.name for path in (NEW / "n2").iterdir()} == FILES
    page = (NEW / "index.html").read_text()
    assert page.count("<td>bad</td><td>bad.svs: OpenSlide cannot open it") == 1


def test_advice_is_of_options_and_not_of_configuration_files(caplog):
    made_slides.write_slide(Path("in/n3.tif"), image(1), spacing=None)
    made_slides.write_slide(Path("in/n4.tif"), np.full((HEIGHT, WIDTH, 3), 250, np.uint8), spacing=1.0)
    assert predict("in/n3.tif", "in/n4.tif", "in/n5.tif").err.startswith(
        "hooknet: 3 of 3 slides cannot be predicted (n3, n4, n5), why is told above; correct them"
    )
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == [
        "n3: in/n3.tif: the file does not say its spacing; give --spacing in µm/px",
        "n4: in/n4.tif: found no tissue at 8 µm/px; give --over everything, or leave the slide out",
        "n5: in/n5.tif: found no such file; correct the path",
    ]
    assert predict("in/n3.tif", spacing=1.0).status == 0


def test_one_slide_alone_that_cannot_be_predicted_is_one_line():
    assert predict("nowhere.svs").err == "hooknet: nowhere.svs: found no such file; correct the path\n"


def test_a_dry_run_tells_and_leaves_nothing():
    before = snapshot(Path())
    outcome = hooknet("predict", "in", "--model", BEST, "--out", NEW, "--dry-run")
    assert outcome.status == 0
    assert "2 of 2 slides to predict: about " in outcome.out
    assert snapshot(Path()) == before
    assert not NEW.exists()


def test_slides_unlike_those_of_training_are_warned_of_in_a_line(caplog):
    dark = (image(7) * 0.6).astype(np.uint8)
    dark[image(7).min(axis=2) > 230] = 250
    made_slides.write_slide(Path("in/dark.tif"), dark, spacing=0.5)
    assert predict("in/n1.tif", "in/dark.tif").status == 0
    (told,) = [one.message for one in caplog.records if "the slides of training" in one.message]
    assert told.startswith(
        "dark: spacing 0.5 µm/px is unlike the slides of training (1 µm/px); haematoxylin "
    )
    page = (NEW / "index.html").read_text()
    assert "There are warnings of 1 of these slides." in page
    assert "Spacing 0.5 µm/px is unlike the slides of training (1 µm/px)." in page


def test_a_slide_of_the_training_is_warned_of(caplog):
    assert predict("a.tif").status == 0
    assert "a: a slide of this name was trained on, or chosen with" in caplog.text


def test_weights_of_an_earlier_version_predict_without_warnings_of_the_cohort(caplog):
    def older(spec):
        for key in (
            "versions",
            "trained_on",
            "validated_on",
            "normalisation",
            "tissue",
            "cohort",
            "fingerprint",
        ):
            del spec[key]
        for one in spec["classes"]:
            del one["value"]

    made_slides.write_slide(Path("in/n1.tif"), image(7), spacing=0.5)
    assert predict("in/n1.tif", model=edited(older), over="everything").status == 0
    assert "edited.ckpt: does not tell what the slides of its training looked like" in caplog.text
    assert "the slides of training" not in caplog.text
    assert "no warning can be given of slides unlike them" in (NEW / "index.html").read_text()


def test_probabilities_are_written_where_asked_for():
    assert hooknet("predict", "in/n1.tif", "--model", BEST, "--out", NEW, "--probabilities").status == 0
    assert (NEW / "n1/probabilities.tif").is_file()


def test_the_mean_of_weights_and_ways_with_its_uncertainty():
    other = edited(lambda spec: spec.update(seed=7))
    wanted = ("--tta", "dihedral", "--probabilities", "--uncertainty")
    outcome = hooknet("predict", "in/n1.tif", "--model", BEST, "--model", other, "--out", NEW, *wanted)
    assert outcome.status == 0, outcome
    assert {path.name for path in (NEW / "n1").iterdir()} == FILES | {"probabilities.tif", "uncertainty.tif"}
    assert "about 1 s by mean of 16 (torch on cpu, fp32), fp32" in re.sub(r"\d+ s", "1 s", outcome.out)
    assert (
        "By the mean of 2 weights (unet), unet(1 µm/px); each tile in all eight ways"
        in (NEW / "index.html").read_text()
    )
    with open_uncertainty(NEW / "n1/uncertainty.tif") as unsure:
        assert unsure.names == ("entropy", "mutual information")
        entropy, mutual = unsure.read_all()
    assert (mutual <= entropy).all()
    assert ((entropy > 0) == (read(NEW / "n1/map.tif") > 0)).all()


def test_uncertainty_wants_probabilities():
    assert refuse("predict", "in/n1.tif", "--model", BEST, "--out", NEW, "--uncertainty") == (
        "predict: --uncertainty without --probabilities, which it is told of; give both"
    )


def test_weights_of_another_network_are_one_line():
    other = edited(lambda spec: spec["settings"].update(patch_size=52))
    assert refuse("predict", "in/n1.tif", "--model", BEST, "--model", other, "--out", NEW) == (
        f"edited.ckpt: found another patch_size than that of {BEST}, wanted weights of one network, trained several "
        "times; predict with each alone, into another --out"
    )


@pytest.mark.parametrize("what", ["classifier", "refiner"])
def test_weights_that_give_no_class_a_px_are_one_line(what):
    run, network = {
        "classifier": (made_stages.classifier_run(), made_stages.RedPatches()),
        "refiner": (made_stages.refiner_run(made_stages.classifier_run()), made_stages.RedSlide()),
    }[what]
    path = made_stages.save(Path("staged.ckpt"), network, run)
    for command in (("predict", "in/n1.tif", "--model", path, "--out", NEW), ("card", path)):
        assert refuse(*command) == (
            f"staged.ckpt: weights of a {what}, wanted those of a unet, hooknet, mrn or hdc_hrnet; give the checkpoint "
            "of such a run, and systems of stages to the workflow"
        )


def test_settings_of_another_version_are_one_line():
    def unknown(spec):
        spec["settings"]["novelty"] = 1

    assert refuse("card", edited(unknown)).startswith(
        "edited.ckpt: its settings are not those of this version ("
    )


@pytest.mark.parametrize("key", ["cohort", "versions", "trained_on", "tissue"])
def test_weights_that_tell_nonsense_are_one_line(key):
    assert refuse("card", edited(lambda spec: spec.update({key: ["x"]}))) == (
        f"edited.ckpt: damaged ({key} is no mapping); train or copy it again"
    )


def test_two_slides_of_one_name_are_one_line():
    shutil.copy("in/n1.tif", "n1.tif")
    assert refuse("predict", "in/n1.tif", "n1.tif", "--model", BEST, "--out", NEW) == (
        "n1.tif: its results would be called n1 as those of in/n1.tif; predict them apart, each into another --out"
    )
