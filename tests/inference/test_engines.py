"""Engines give one map, and one that does not is found out before it is used."""

import importlib.util
import logging
from dataclasses import replace
from pathlib import Path

import made_networks
import made_runs
import made_slides
import numpy as np
import pytest
import torch
from made_maps import planned, segmented

from hooknet.config.dense import InferOptions
from hooknet.errors import CheckpointError
from hooknet.inference import choice, openvino_engine
from hooknet.inference.agreement import Agreement, agreement, compared, small_tile
from hooknet.inference.choice import Job, choose
from hooknet.inference.dense import views_of
from hooknet.inference.engines import TorchEngine, computing_in
from hooknet.inference.openvino_engine import OpenVinoEngine
from hooknet.io.slides import Slide
from hooknet.training.weights import new_network

installed = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="the package openvino is not installed"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOKNET_CACHE", str(tmp_path / "cache"))


def job_of(network, slide, at_most=150, shares=False):
    """A plan's job, and the views of its fullest tile."""
    work = planned(network, slide, at_most)
    views = views_of(work, work.plan.places[work.plan.fullest])
    return Job(work.plan.tile, len(work.plan.places), 1, shares), views


@installed
@pytest.mark.parametrize(("spacings", "depth", "patch", "more"), made_networks.KINDS)
def test_openvino_maps_a_slide_as_torch_does(noise_slide, spacings, depth, patch, more):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = made_networks.random_network(spacings, depth, patch, **more)

    def engine(network, tile, shares, precision):
        return OpenVinoEngine(network, tile, shares, precision, 1)

    at_most = patch + 96
    labels, shares = segmented(network, slide, at_most, bands=3)
    found, bytes_ = segmented(network, slide, at_most, bands=3, engine=engine)
    assert np.abs(shares.astype(int) - bytes_).max() <= 1
    assert (labels != found).mean() < 1e-4
    job, views = job_of(network, slide, at_most)
    both = agreement(network, OpenVinoEngine(network, job.tile, False, "fp32", 1), views)
    assert both.difference < 1e-5
    assert both.share > 0.999


@installed
def test_a_compiled_model_is_kept_and_used_again(noise_slide, tmp_path, monkeypatch, caplog):
    network = made_networks.random_network((0.5, 1.0), 2, 38)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)))
    first = OpenVinoEngine(network, job.tile, False, "fp32", 1).start(views, logits=True)()
    (kept,) = (tmp_path / "cache").glob("*.blob")

    def again(*_):
        raise AssertionError("compiled again")

    monkeypatch.setattr(openvino_engine, "_graph", again)
    second = OpenVinoEngine(network, job.tile, False, "fp32", 1).start(views, logits=True)()
    np.testing.assert_array_equal(first.logits, second.logits)
    with torch.no_grad():
        next(network.parameters()).add_(1e-3)
    with pytest.raises(AssertionError, match="compiled again"):
        OpenVinoEngine(network, job.tile, False, "fp32", 1)
    with torch.no_grad():
        next(network.parameters()).sub_(1e-3)
    monkeypatch.undo()
    monkeypatch.setenv("HOOKNET_CACHE", str(tmp_path / "cache"))
    kept.write_bytes(b"not a model")
    network = made_networks.random_network((0.5, 1.0), 2, 38)
    third = OpenVinoEngine(network, job.tile, False, "fp32", 1).start(views, logits=True)()
    np.testing.assert_array_equal(first.logits, third.logits)
    assert "cannot be used" in caplog.text
    assert kept.stat().st_size > 1000


@installed
def test_a_model_that_another_job_removes_is_compiled_anew(noise_slide, tmp_path, monkeypatch):
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)))
    first = OpenVinoEngine(network, job.tile, False, "fp32", 1).start(views)().labels
    read = Path.read_bytes

    def gone(path):
        if path.suffix == ".blob":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", gone)
    np.testing.assert_array_equal(
        OpenVinoEngine(network, job.tile, False, "fp32", 1).start(views)().labels, first
    )


@installed
def test_models_used_least_recently_are_removed(noise_slide, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_engine, "KEPT", 1)
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    for seed in (0, 1):
        network = made_networks.random_network((0.5,), 2, 34, seed=seed)
        OpenVinoEngine(network, job_of(network, slide)[0].tile, False, "fp32", 1)
    assert len(list((tmp_path / "cache").glob("*.blob"))) == 1


@installed
def test_a_cache_that_cannot_be_written_is_done_without(noise_slide, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOOKNET_CACHE", str(tmp_path / "file"))
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)))
    assert OpenVinoEngine(network, job.tile, False, "fp32", 1).start(views)().labels.any()


@pytest.mark.parametrize(("spacings", "depth", "patch", "more"), made_networks.KINDS)
def test_torch_agrees_with_itself(noise_slide, spacings, depth, patch, more):
    network = made_networks.random_network(spacings, depth, patch, **more)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)), patch + 150)
    assert small_tile(network.shape, job.tile).stride < job.tile.stride
    assert agreement(network, TorchEngine(network, job.tile, False, "fp32"), views).difference < 1e-5


@pytest.mark.parametrize("place", ["middle", "corner"])
def test_an_error_in_a_part_of_a_tile_is_seen(noise_slide, place):
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)), 150)
    small, unit = small_tile(network.shape, job.tile), 4
    assert (
        job.tile.stride - small.stride
    ) // 2 % unit == 0  # so that the last small tile ends where the large does

    class Wrong(TorchEngine):
        def start(self, views, logits=False):
            found = super().start(views, logits=True)()
            middle = job.tile.stride // 2
            at = np.s_[-8:] if place == "corner" else np.s_[middle - 4 : middle + 4]
            found.logits[0, at, at] += 0.01
            return lambda: found

    assert agreement(network, Wrong(network, job.tile, False, "fp32"), views).difference > 1e-4


@pytest.mark.parametrize("what", ["labels", "shares"])
def test_all_that_is_written_of_a_tile_is_compared(noise_slide, what):
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)), 150)
    right = TorchEngine(network, job.tile, True, "fp32").start(views, logits=True)()
    assert compared(network, job.tile, right, views).suffices("fp32")
    wrong = replace(right, **{what: np.roll(getattr(right, what), 3, axis=-1)})  # 3 px to the right
    assert not compared(network, job.tile, wrong, views).suffices("fp32")


def test_what_suffices_is_a_probability_in_fp32_and_classes_in_bf16():
    assert Agreement(1e-4, 0.999).suffices("fp32")
    assert not Agreement(0.0, 0.9989).suffices("fp32")
    assert not Agreement(1.1e-4, 1.0).suffices("fp32")
    assert not Agreement(float("nan"), 1.0).suffices("fp32")
    assert Agreement(0.5, 0.999).suffices("bf16")
    assert not Agreement(0.0, 0.9989).suffices("bf16")


def options(**changed):
    return InferOptions(**changed)


@installed
def test_a_large_slide_is_computed_by_openvino_and_a_small_one_by_torch(noise_slide, caplog):
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)))
    with caplog.at_level(logging.INFO, "hooknet"):
        assert isinstance(choose(network, job, options(), views), TorchEngine)
        many = replace(job, tiles=int(choice.WORTH_COMPILING / network.shape.tile_work(job.tile)) + 1)
        assert isinstance(choose(network, many, options(), views), OpenVinoEngine)
        assert isinstance(choose(network, many, options(engine="torch"), views), TorchEngine)
        assert isinstance(choose(network, job, options(engine="openvino"), views), OpenVinoEngine)
    assert "as torch in fp32 on a tile: probabilities within" in caplog.text


def test_without_openvino_torch_computes_and_asking_for_it_is_told(noise_slide, monkeypatch):
    monkeypatch.setattr(openvino_engine, "is_installed", lambda: False)
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)))
    assert isinstance(choose(network, replace(job, tiles=10**9), options(), views), TorchEngine)
    with pytest.raises(
        CheckpointError, match=r"the package is not installed; pip install .*, or set it to auto"
    ):
        choose(network, job, options(engine="openvino"), views)


@pytest.fixture
def candidates_of(monkeypatch):
    """Replace what there is to choose from."""

    def put(*found):
        monkeypatch.setattr(
            choice, "candidates", lambda *_: [choice.Candidate(name, how, make) for name, how, make in found]
        )

    return put


class WrongInBf16(TorchEngine):
    """Wrong everywhere."""

    def start(self, views, logits=False):
        found = super().start(views, logits=True)()
        return lambda: replace(found, labels=4 - found.labels)


def no_such_operation():
    raise RuntimeError("no such\noperation")


def test_an_engine_that_differs_is_passed_over(noise_slide, candidates_of, caplog):
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)), 190)

    def right():
        return TorchEngine(network, job.tile, False, "fp32")

    candidates_of(
        ("wrong", "bf16", lambda: WrongInBf16(network, job.tile, False, "bf16")), ("right", "fp32", right)
    )
    chosen = choose(network, job, options(), views)
    assert (type(chosen), chosen.precision) == (TorchEngine, "fp32")
    assert "wrong in bf16 differs from torch in fp32 by" in caplog.text
    candidates_of(("broken", "fp32", no_such_operation), ("right", "fp32", right))
    assert type(choose(network, job, options(), views)) is TorchEngine
    assert "broken in fp32 failed (no such operation); trying the next engine" in caplog.text
    candidates_of(("broken", "fp32", no_such_operation))
    with pytest.raises(
        CheckpointError, match=r"broken in fp32 failed \(no such operation\); set both to auto"
    ):
        choose(network, job, options(), views)


def test_bf16_is_refused_where_the_processor_has_none(noise_slide, monkeypatch):
    monkeypatch.setattr(openvino_engine, "has_bf16", lambda: False)
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)))
    with pytest.raises(
        CheckpointError, match=r"infer\.precision bf16: torch on this cpu has no bf16 of its own"
    ):
        choose(network, job, options(precision="bf16", engine="torch"), views)


def test_tf32_is_refused_where_there_is_no_gpu(noise_slide):
    network = made_networks.random_network((0.5,), 2, 34)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)))
    with pytest.raises(
        CheckpointError, match=r"infer\.precision tf32: torch on this cpu has no tf32 of its own"
    ):
        choose(network, job, options(precision="tf32", engine="torch"), views)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_gpus_round_to_tf32_where_it_is_asked_for_alone(precision):
    flags = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [one.allow_tf32 for one in flags]
    with computing_in(precision, torch.device("cpu")):
        assert [one.allow_tf32 for one in flags] == [precision == "tf32"] * 2
        assert torch.is_autocast_enabled("cpu") == (precision == "bf16")
    assert [one.allow_tf32 for one in flags] == before
    assert not torch.is_autocast_enabled("cpu")


def test_on_a_gpu_of_today_tf32_comes_between(monkeypatch):
    monkeypatch.setattr(choice.gpus, "has_bf16", lambda: True)
    gpu = torch.device("cuda")
    assert list(choice.kinds(gpu, 1e15, options())) == [
        ("torch", "bf16"),
        ("torch", "tf32"),
        ("torch", "fp32"),
    ]
    assert list(choice.kinds(gpu, 1e15, options(precision="fp32"))) == [("torch", "fp32")]
    monkeypatch.setattr(choice.gpus, "has_bf16", lambda: False)
    assert list(choice.kinds(gpu, 1e15, options())) == [("torch", "fp32")]
    with pytest.raises(CheckpointError, match=r"bf16: torch on this cuda has no bf16 of its own"):
        list(choice.kinds(gpu, 1e15, options(precision="bf16")))


@installed
def test_bf16_that_is_asked_for_goes_by_the_processor_not_by_the_size_of_a_slide(monkeypatch):
    monkeypatch.setattr(openvino_engine, "has_bf16", lambda: True)
    network = made_networks.random_network((0.5,), 2, 34)
    for tiles in (1, 10**9):
        found = choice.candidates(
            network, Job(network.shape.tile(100), tiles, 1, False), options(precision="bf16")
        )
        assert [(one.name, one.precision) for one in found] == [("OpenVINO", "bf16")]


@installed
def test_bf16_comes_first_where_the_processor_has_it(monkeypatch):
    monkeypatch.setattr(openvino_engine, "has_bf16", lambda: True)
    network = made_networks.random_network((0.5,), 2, 34)
    job = Job(network.shape.tile(100), 10**9, 1, False)
    found = [(one.name, one.precision) for one in choice.candidates(network, job, options())]
    assert found == [("OpenVINO", "bf16"), ("OpenVINO", "fp32"), ("torch", "fp32")]
    found = [(one.name, one.precision) for one in choice.candidates(network, job, options(precision="fp32"))]
    assert found == [("OpenVINO", "fp32"), ("torch", "fp32")]
    found = [one.precision for one in choice.candidates(network, job, options(precision="bf16"))]
    assert found == ["bf16"]


def test_bf16_by_autocast_keeps_nearly_every_class(noise_slide):
    network = made_networks.random_network((0.5, 1.0), 2, 38, filters=8)
    job, views = job_of(network, Slide(noise_slide[0], made_slides.square(0.5)))
    found = agreement(network, TorchEngine(network, job.tile, False, "bf16"), views)
    assert 1e-5 < found.difference < 0.1
    assert found.share > 0.98


def test_networks_that_openvino_dies_of_are_computed_by_torch_however_large_a_slide_is(monkeypatch):
    monkeypatch.setattr(choice.openvino_engine, "is_installed", lambda: True)
    monkeypatch.setattr(choice.openvino_engine, "has_bf16", lambda: False)
    network = new_network(made_runs.make_hdc_run())
    job = Job(next(iter(network.shape.tiles(None))), 10**9, 1, False)
    assert [one.name for one in choice.candidates(network, job, InferOptions())] == ["torch"]
