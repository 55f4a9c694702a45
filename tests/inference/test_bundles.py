"""Slides that share a job have the maps that they have alone, to the bit."""

import logging
import os
from dataclasses import replace

import made_networks
import made_runs
import made_slides
import numpy as np
import pytest

from hooknet.config.datasets import SlideSettings
from hooknet.errors import CheckpointError, DiskError, HookNetError, MaskError
from hooknet.inference import bundles, whole_slide
from hooknet.inference.bundles import infer_bundle
from hooknet.inference.whole_slide import MapFiles, infer
from hooknet.io.bundles import take_from_bundle
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec

NAMES = ("s0", "s1", "s2")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with weights, three slides of different sizes, tissue masks of them and an annotation of one."""
    folder = tmp_path_factory.mktemp("bundles")
    run = made_runs.make_run(
        model="unet", spacings=(0.5,), patch_size=30,
        network={"filters": 1, "depth": 2, "convolutions": 1, "batch_norm": False},
        infer={"tile": 200, "engine": "torch", "over": "tissue", "probabilities": True, "bundle_minutes": 60},
    )  # fmt: skip
    network = made_networks.looking_at(0, (0.5,), 2, 30)
    save_checkpoint(folder / "best.ckpt", network, checkpoint_spec(run, ()))
    slides = []
    for number, (name, side) in enumerate(zip(NAMES, (400, 640, 500), strict=True)):
        image = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        made_slides.write_slide(folder / f"{name}.tif", image, spacing=0.5)
        inside = np.zeros((side // 4, side // 4), np.uint8)
        inside[20:80, 10:70] = 1
        (folder / "slides" / name).mkdir(parents=True)
        made_slides.write_mask(folder / "slides" / name / "tissue.tif", inside, spacing=2.0, step=4.0)
        slides.append(SlideSettings(id=name, slide=str(folder / f"{name}.tif"), spacing=0.5))
    labels = np.zeros((640, 640), np.uint8)
    labels[600:, 600:] = 1
    made_slides.write_mask(folder / "slides" / "s1" / "labels.tif", labels, spacing=0.5)
    slides[1] = slides[1].model_copy(update={"annotation": "s1.xml"})
    return folder, run, slides


def bundled(made, folder):
    source, run, slides = made
    infer_bundle(run, slides, source / "best.ckpt", source / "slides", folder)


def test_maps_of_a_bundle_are_those_of_slides_alone_byte_by_byte(made, tmp_path, monkeypatch):
    source, run, slides = made
    loads = []
    monkeypatch.setattr(
        whole_slide,
        "load_network",
        lambda *given, load=whole_slide.load_network: loads.append(1) or load(*given),
    )
    bundled(made, tmp_path / "bundle")
    assert len(loads) == 1
    for slide in slides:
        alone = MapFiles(
            tmp_path / "alone.tif", tmp_path / "shares.tif", source / "slides" / slide.id / "tissue.tif",
            (source / "slides" / "s1" / "labels.tif",) if slide.id == "s1" else (),
        )  # fmt: skip
        infer(run, slide, source / "best.ckpt", alone)
        place, shares = tmp_path / "maps" / f"{slide.id}.tif", tmp_path / "probabilities" / f"{slide.id}.tif"
        take_from_bundle(tmp_path / "bundle", slide.id, place, shares)
        assert place.read_bytes() == alone.output.read_bytes()
        assert shares.read_bytes() == alone.probabilities.read_bytes()


def test_a_slide_that_cannot_be_read_does_not_take_the_others_with_it(made, tmp_path, caplog):
    source, run, slides = made
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no slide")
    slides = [slides[0], slides[1].model_copy(update={"slide": str(broken)}), slides[2]]
    folder = tmp_path / "bundle"
    with caplog.at_level(logging.ERROR):
        infer_bundle(run, slides, source / "best.ckpt", source / "slides", folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "probabilities",
        "s0.tif",
        "s1.failed",
        "s2.tif",
    ]
    assert [record.message.startswith(f"s1: {broken}: ") for record in caplog.records] == [True]
    place = tmp_path / "s1.tif"
    with pytest.raises(HookNetError, match=rf"^{broken}: ") as caught:
        take_from_bundle(folder, "s1", place, None)
    assert "\n" not in str(caught.value)
    assert not place.exists()


def test_what_is_wrong_with_the_weights_ends_the_job(made, tmp_path):
    source, run, slides = made
    (tmp_path / "bad.ckpt").write_bytes(b"no weights")
    with pytest.raises(CheckpointError):
        infer_bundle(run, slides, tmp_path / "bad.ckpt", source / "slides", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("kind", [ZeroDivisionError, DiskError])
def test_our_own_mistakes_and_full_disks_are_not_taken_for_a_bad_slide(made, tmp_path, monkeypatch, kind):
    def mistaken(*_):
        raise kind

    monkeypatch.setattr(bundles, "predict", mistaken)
    with pytest.raises(kind):
        bundled(made, tmp_path / "bundle")


def test_probabilities_are_kept_where_settings_say_so(made, tmp_path):
    source, run, slides = made
    kept_not = run.settings.infer.model_copy(update={"probabilities": False})
    run = replace(run, settings=run.settings.model_copy(update={"infer": kept_not}))
    infer_bundle(run, slides, source / "best.ckpt", source / "slides", tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == [f"{name}.tif" for name in NAMES]


def test_a_map_that_is_taken_is_newer_than_its_folder_also_where_links_cannot_be_made(tmp_path, monkeypatch):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "s.tif").write_bytes(b"map")
    os.utime(folder / "s.tif", (1, 1))
    take_from_bundle(folder, "s", tmp_path / "one.tif", None)

    def refused(*_):
        raise PermissionError(1, "no links")

    monkeypatch.setattr(os, "link", refused)
    take_from_bundle(folder, "s", tmp_path / "other.tif", None)
    for name in ("one.tif", "other.tif"):
        assert (tmp_path / name).read_bytes() == b"map"
        assert (tmp_path / name).stat().st_mtime >= folder.stat().st_mtime


def test_a_map_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(MaskError, match=r"s\.tif: found no file, wanted the raster that infer-bundle writes"):
        take_from_bundle(tmp_path, "s", tmp_path / "map.tif", None)
    assert not (tmp_path / "map.tif").exists()


def test_slides_of_a_bundle_are_read_from_copies_where_the_machine_has_a_place_for_them(
    made, tmp_path, monkeypatch, caplog
):
    _, _, slides = made
    bundled(made, tmp_path / "plain")
    monkeypatch.setenv("HOOKNET_STAGE", str(tmp_path / "stage"))
    with caplog.at_level(logging.INFO):
        bundled(made, tmp_path / "staged")
    copied = [record.message for record in caplog.records if "copied to" in record.message]
    assert [one.split(":")[0] for one in copied] == [slide.slide for slide in slides]
    for name in NAMES:
        assert (tmp_path / "staged" / f"{name}.tif").read_bytes() == (
            tmp_path / "plain" / f"{name}.tif"
        ).read_bytes()


def test_every_slide_of_a_bundle_that_the_weights_were_trained_on_is_told(made, tmp_path, caplog):
    source, run, slides = made
    network = made_networks.looking_at(0, (0.5,), 2, 30)
    spec = {**checkpoint_spec(run, ()), "slides": ["s1", "s2"]}
    save_checkpoint(tmp_path / "seen.ckpt", network, spec)
    with caplog.at_level(logging.WARNING):
        infer_bundle(run, slides, tmp_path / "seen.ckpt", source / "slides", tmp_path / "bundle")
    told = [record.message for record in caplog.records if "a score on it means nothing" in record.message]
    assert [one.split(":")[0] for one in told] == ["s1", "s2"]
