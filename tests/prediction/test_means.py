"""Several weights, turned tiles and uncertainty: predict makes of them what infer makes, and says so."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import made_networks
import made_runs
import numpy as np
import pytest
import rasterio

from hooknet.config.datasets import SlideSettings
from hooknet.errors import CheckpointError
from hooknet.inference import kept
from hooknet.inference.averaging import entropy
from hooknet.inference.whole_slide import MapFiles, infer
from hooknet.io.rasters import quiet
from hooknet.models.checkpoint import save_checkpoint
from hooknet.prediction.model import Asked, open_model, open_models
from hooknet.prediction.predicting import Options, Predicting
from hooknet.training.weights import checkpoint_spec

RUN = {
    "model": "unet",
    "spacings": (0.5,),
    "patch_size": 34,
    "network": {
        "filters": 3,
        "depth": 2,
        "convolutions": 1,
        "batch_norm": False,
        "batch_norm_momentum": 0.99,
    },
    "infer": {"over": "everything", "engine": "torch", "tile": 100},
}
ALL = Asked(probabilities=True, uncertainty=True)


def run_of(**infer):
    return made_runs.make_run(**made_runs.merged(RUN, {"infer": infer}))


def weights(path, seed, run=None, **spec):
    network = made_networks.random_network((0.5,), 2, 34, seed, classes=2, batch_norm=False)
    save_checkpoint(path, network, checkpoint_spec(run or run_of(), ()) | spec)
    return path


@pytest.fixture
def paths(tmp_path):
    # Seeds whose maps have both classes, in different places.
    return [weights(tmp_path / f"w{number}.ckpt", seed) for number, seed in enumerate((8, 5, 11))]


@pytest.fixture
def slide(noise_slide):
    return SlideSettings(id="noise", slide=str(noise_slide[0]), spacing=0.5)


def predict(folder, paths, slide, asked=ALL, dry=False):
    """The folder of the slide, and what was told."""
    told = []
    model, options = open_models(paths, asked), Options(spacing=0.5, dry=dry)
    Predicting(model, {"noise": slide.slide}, folder, options, told.append).run()
    return folder / "noise", told


def inferred(folder, paths, slide, **options):
    """What infer writes of the same weights and settings."""
    folder.mkdir()
    run = replace(run_of(probabilities=True, **options), members=tuple(paths))
    unsure = folder / "uncertainty.tif" if options.get("uncertainty") else None
    infer(
        run,
        slide,
        paths[0],
        MapFiles(folder / "map.tif", folder / "probabilities.tif", None, (), uncertainty=unsure),
    )
    return folder


def read(path):
    with quiet(), rasterio.open(path) as found:
        return found.read().astype(int)


def test_two_equal_weights_give_the_map_of_one(tmp_path, paths, slide):
    shutil.copy(paths[0], tmp_path / "copy.ckpt")
    wanted = Asked(probabilities=True)
    one, _ = predict(tmp_path / "one", paths[:1], slide, wanted)
    two, _ = predict(tmp_path / "two", [paths[0], tmp_path / "copy.ckpt"], slide, wanted)
    for name in ("map.tif", "probabilities.tif"):
        np.testing.assert_array_equal(read(one / name), read(two / name))
    assert 0.3 < (read(one / "map.tif") == 1).mean() < 0.7


def test_several_weights_are_the_mean_of_what_each_gives(tmp_path, paths, slide):
    wanted = Asked(probabilities=True)
    alone = [
        read(predict(tmp_path / one.stem, [one], slide, wanted)[0] / "probabilities.tif") for one in paths
    ]
    mean = np.mean(alone, axis=0)
    folder, _ = predict(tmp_path / "all", paths, slide)
    found, labels = read(folder / "probabilities.tif"), read(folder / "map.tif")[0]
    assert np.abs(alone[0] - alone[1]).max() > 50
    assert np.abs(found - mean).max() <= 1  # each was rounded to a byte
    clear = np.abs(mean[0] - mean[1]) > 2
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(labels[clear], (mean.argmax(axis=0) + 1)[clear])
    unsure = read(folder / "uncertainty.tif")
    assert np.abs((unsure[0] - 1) / 254 - entropy(found / 255) / np.log(2)).max() < 0.03  # of bytes


@pytest.mark.parametrize(("members", "tta"), [(1, "dihedral"), (2, "none"), (2, "dihedral")])
def test_all_files_are_those_of_infer_to_the_byte(tmp_path, paths, slide, members, tta):
    theirs = inferred(tmp_path / "infer", paths[:members], slide, tta=tta, uncertainty=True)
    mine, _ = predict(tmp_path / "predict", paths[:members], slide, replace(ALL, tta=tta))
    for name in ("map.tif", "probabilities.tif", "uncertainty.tif"):
        assert (mine / name).read_bytes() == (theirs / name).read_bytes()


def test_turning_is_as_the_experiment_says_unless_it_is_said(tmp_path):
    path = weights(tmp_path / "w.ckpt", 1, run_of(tta="dihedral"))
    assert open_model(path).run.passes == 8
    assert open_model(path, Asked(tta="none")).run.passes == 1
    assert open_models([path, weights(tmp_path / "v.ckpt", 2)], Asked()).run.passes == 16


def test_what_the_experiment_asks_for_besides_is_written_where_it_is_asked_for_here(tmp_path):
    path = weights(tmp_path / "w.ckpt", 1, run_of(probabilities=True, uncertainty=True))
    options = open_model(path).run.settings.infer
    assert (options.probabilities, options.uncertainty) == (False, False)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"network": {"filters": 4}}, "network"),
        ({"spacings": (1.0,)}, "spacings"),
        ({"model": "hooknet", "spacings": (0.5, 1.0), "patch_size": 38}, "model"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, paths, changes, what):
    from hooknet.training.weights import new_network

    run = made_runs.make_run(**made_runs.merged(RUN, changes))
    other = tmp_path / "other.ckpt"
    save_checkpoint(other, new_network(run), checkpoint_spec(run, ()))
    with pytest.raises(CheckpointError) as caught:
        open_models([paths[0], other], Asked())
    assert str(caught.value) == (
        f"{other}: found another {what} than that of {paths[0]}, wanted weights of one network, trained several times; "
        "predict with each alone, into another --out"
    )


def test_weights_of_other_classes_are_refused(tmp_path, paths):
    classes = [
        {"name": name, "value": value, "colour": "#ff0000"} for value, name in ((1, "one"), (2, "three"))
    ]
    other = weights(tmp_path / "other.ckpt", 1, classes=classes)
    with pytest.raises(CheckpointError, match=r"other\.ckpt: found another classes than that of .*w0\.ckpt"):
        open_models([paths[0], other], Asked())


def test_weights_that_are_named_twice_are_refused(paths):
    with pytest.raises(CheckpointError, match="one is named twice; name each once"):
        open_models([paths[0], paths[1], paths[0]], Asked())


def test_time_is_that_of_all_predictions_and_disk_that_of_all_files(tmp_path, paths, slide, monkeypatch):
    from hooknet.prediction import predicting

    found = []
    estimated = predicting.estimated

    def noted(speed, slides):
        found.append((speed, slides[0].work))
        return estimated(speed, slides)

    monkeypatch.setattr(predicting, "estimated", noted)
    predict(tmp_path / "dry", paths[:1], slide, Asked(), dry=True)
    plain, alone = found[0]
    predict(tmp_path / "dry", paths[:2], slide, replace(ALL, tta="dihedral"), dry=True)
    speed, work = found[-1]
    assert work.operations == 16 * alone.operations
    assert (work.tiles, work.read, work.pixels) == (alone.tiles, alone.read, alone.pixels)
    assert plain.band_bytes == 0
    assert not (tmp_path / "dry").exists()
    folder, _ = predict(tmp_path / "made", paths[:2], slide, replace(ALL, tta="dihedral"))
    files = sum((folder / f"{name}.tif").stat().st_size for name in ("probabilities", "uncertainty"))
    assert speed.band_bytes * work.pixels == pytest.approx(files, rel=0.3)


OTHERS = {
    "weights": (2, replace(ALL, tta="dihedral")),
    "more weights": (3, replace(ALL, tta="dihedral")),
    "tta": (1, ALL),
    "uncertainty": (1, Asked(probabilities=True, tta="dihedral")),
}


def killed_after(monkeypatch, count):
    keep, done = kept.KeptTiles.keep, []

    def killed(self, *rest):
        keep(self, *rest)
        done.append(1)
        if len(done) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(kept.KeptTiles, "keep", killed)


@pytest.mark.parametrize("what", OTHERS)
def test_of_something_else_nothing_that_is_kept_is_taken(tmp_path, paths, slide, monkeypatch, caplog, what):
    caplog.set_level("INFO")
    count, asked = OTHERS[what]
    killed_after(monkeypatch, 3)
    first = paths[1:2] if what == "weights" else paths[: min(count, 2)]
    with pytest.raises(KeyboardInterrupt):
        predict(tmp_path / "out", first, slide, replace(ALL, tta="dihedral"))
    monkeypatch.undo()
    found, _ = predict(tmp_path / "out", paths[:count], slide, asked)
    assert "were predicted before" not in caplog.text
    fresh, _ = predict(tmp_path / "fresh", paths[:count], slide, asked)
    for name in ("map.tif", "probabilities.tif"):
        assert (found / name).read_bytes() == (fresh / name).read_bytes()


def test_the_same_goes_on_and_comes_out_the_same(tmp_path, paths, slide, monkeypatch, caplog):
    caplog.set_level("INFO")
    asked = replace(ALL, tta="dihedral")
    killed_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        predict(tmp_path / "out", paths[:2], slide, asked)
    monkeypatch.undo()
    found, _ = predict(tmp_path / "out", paths[:2], slide, asked)
    assert " tiles were predicted before" in caplog.text
    fresh, _ = predict(tmp_path / "fresh", paths[:2], slide, asked)
    for name in ("map.tif", "probabilities.tif", "uncertainty.tif"):
        assert (found / name).read_bytes() == (fresh / name).read_bytes()


def test_what_is_whole_is_so_for_its_weights_ways_and_files_alone(tmp_path, paths, slide):
    folder, _ = predict(tmp_path / "out", paths[:2], slide)
    assert predict(tmp_path / "out", paths[:2], slide)[1][-1] == "0 of 1 slides to predict"
    for others, asked in ((paths[:1], ALL), (paths[1::-1], ALL), (paths[:2], replace(ALL, tta="dihedral"))):
        assert predict(tmp_path / "out", others, slide, asked, dry=True)[1][-1].startswith("1 of 1 slides")
    # Probabilities that a process left which was killed before its map was in place.
    other, _ = predict(tmp_path / "other", paths[:1], slide)
    for name in ("probabilities.tif", "uncertainty.tif"):
        mine = (folder / name).read_bytes()
        shutil.copy(other / name, folder / name)
        assert predict(tmp_path / "out", paths[:2], slide, dry=True)[1][-1].startswith("1 of 1 slides")
        (folder / name).write_bytes(mine)
    (folder / "uncertainty.tif").unlink()
    assert predict(tmp_path / "out", paths[:2], slide, dry=True)[1][-1].startswith("1 of 1 slides")


def headings(page):
    return re.findall(r"<h3>([^<]*)</h3>", page.partition('<section id="card">')[2])


def test_the_page_tells_weights_ways_and_uncertainty(tmp_path, paths, slide):
    folder, _ = predict(tmp_path / "out", paths[:2], slide, replace(ALL, tta="dihedral"))
    page = (folder / "index.html").read_text()
    assert (
        "By the mean of 2 weights (made), unet(0.5 µm/px); each tile in all eight ways to lay it down."
        in page
    )
    for one in open_models(paths[:2], Asked()).members:
        assert one.sha256 in page
    assert headings(page)[:2] == ["The weights", "What it is"]
    mean = ((read(folder / "uncertainty.tif")[0] - 1) / 254).mean()
    (told,) = re.findall(r"<figcaption>Uncertainty <small>mean ([\d.]+)</small>", page)
    assert float(told) == pytest.approx(mean, abs=0.01)
    assert page.count('class="ramp"') == page.count('<img class="whole"') == 1


def test_a_page_without_uncertainty_has_no_legend_of_it(tmp_path, paths, slide):
    page = (predict(tmp_path / "out", paths[:1], slide, Asked())[0] / "index.html").read_text()
    assert "By made, unet(0.5 µm/px)." in page
    assert 'class="ramp"' not in page
    assert headings(page)[0] == "What it is"


def cohort(low, high):
    return {"cohort": {"slides": 2, "ranges": {"spacing": [low, high]}}}


def test_weights_of_different_slides_warn_and_have_cards_of_their_own(tmp_path, slide, caplog):
    fine, coarse = cohort(0.25, 0.5), cohort(1.0, 2.0)
    paths = [
        weights(tmp_path / "a.ckpt", 0, **fine),
        weights(tmp_path / "b.ckpt", 1, **fine),
        weights(tmp_path / "c.ckpt", 2, **coarse),
    ]
    assert list(open_models(paths, Asked()).cohorts) == [1, 3]
    folder, _ = predict(tmp_path / "out", paths, slide)
    page = (folder / "index.html").read_text()
    told = "spacing 0.5 µm/px is unlike the slides of training (1 to 2 µm/px) (weights 3)"
    assert f"noise: {told}" in caplog.text
    assert f"S{told[1:]}." in page
    titles = headings(page)
    assert titles[0] == "The weights"
    assert [one for one in titles if one.startswith("Its slides")] == [
        "Its slides (weights 1)",
        "Its slides (weights 3)",
    ]
    # Of the same slides one card, whose warnings need no name.
    same = open_models(paths[:2], Asked())
    assert list(same.cohorts) == [1]


def test_weights_that_do_not_tell_of_their_slides_are_named(tmp_path, paths, slide, caplog):
    told = weights(tmp_path / "told.ckpt", 1, **cohort(0.25, 0.5))
    folder, _ = predict(tmp_path / "out", [told, paths[0]], slide)
    assert f"{paths[0]}: does not tell what the slides of its training looked like" in caplog.text
    assert f"{told}: does not tell" not in caplog.text
    assert "Some weights do not tell" in (folder / "index.html").read_text()


def test_slides_that_any_of_the_weights_has_seen_are_known(tmp_path):
    paths = [weights(tmp_path / f"{one}.ckpt", 0, slides=[one, "x"]) for one in "ab"]
    assert open_models(paths, Asked()).seen == ("a", "x", "b")
