import copy
from dataclasses import replace

import made_workflow
import pytest

from hooknet.config.project import load_project
from hooknet.config.resources import LONGEST, Needs, longer, more
from hooknet.shapes.memory import BESIDES, tile_bytes


def demo():
    """The shipped HookNet."""
    folder = made_workflow.ROOT / "config"
    return load_project(folder / "datasets.yaml", folder / "experiments.yaml").runs["hooknet_1_8"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of the tiny configuration with some of its defaults changed."""
    monkeypatch.chdir(tmp_path)

    def made(**changes):
        experiments = copy.deepcopy(made_workflow.EXPERIMENTS)
        for key, value in changes.items():
            if isinstance(value, dict):
                experiments["defaults"][key].update(value)
            else:
                experiments["defaults"][key] = value
        made_workflow.write(tmp_path, experiments)
        return load_project("config/datasets.yaml", "config/experiments.yaml").runs["hooknet"]

    return made


def test_attempts_ask_for_more_of_both():
    assert [more(1500, attempt) for attempt in (1, 2, 3)] == [1500, 3000, 4500]
    assert [longer(20.5, attempt) for attempt in (1, 2, 3)] == [21, 41, 62]
    assert longer(3000, 2) == LONGEST == 3 * 24 * 60


def test_training_takes_time_by_its_steps_and_its_network(run):
    once = Needs(run()).train_minutes - 10
    assert Needs(run(train={"epochs": 4})).train_minutes - 10 == pytest.approx(2 * once)
    wider = Needs(run(network={"filters": 4})).train_minutes - 10
    assert 2.5 * once < wider < 4 * once


def test_the_time_of_a_known_training_is_within_what_is_asked_for():
    # The demo's HookNet: 500 steps of 0.684 s and validations on two cores (docs/performance.md).
    run = demo()
    assert 1.5 * 500 * 0.684 < 60 * Needs(run).train_minutes < 6 * 500 * 0.684


def test_training_takes_memory_by_batch_filters_and_workers(run):
    plain = Needs(run()).train_mb
    by_batch = Needs(run(train={"batch": 102})).train_mb - plain
    assert 100 < by_batch < 100 * 30
    assert Needs(run(train={"workers": 2, "cache_mb": 512})).train_mb == pytest.approx(
        plain + 2 * (600 + 512)
    )


def test_several_processes_ask_for_what_each_of_them_takes(run):
    alone = Needs(run(train={"workers": 2, "batch": 8}))
    assert (alone.train_devices, alone.train_nodes, alone.train_cores) == (1, 1, 3)
    four = Needs(run(train={"workers": 2, "batch": 8, "devices": 2, "nodes": 2}))
    assert (four.train_devices, four.train_nodes, four.train_cores) == (2, 2, 3)
    # On each machine: twice what a process takes, half of the patches.
    patches = alone.train_mb - Needs(run(train={"workers": 2, "batch": 1})).train_mb
    patch = patches / 7
    assert four.train_mb == pytest.approx(2 * (alone.train_mb - 8 * patch) + 4 * patch)
    assert four.train_minutes - 10 == pytest.approx((alone.train_minutes - 10) / 4)


def test_the_memory_of_a_known_training_is_as_measured():
    # 28 MiB more for each patch of the demo's HookNet: 1048 MiB with 16, 620 with one (docs/performance.md).
    run = demo()
    options = run.settings.train
    fixed = 4000 + options.workers * (600 + options.cache_mb) + options.cache_mb + run.parameter_count * 16e-6
    assert (Needs(run).train_mb - fixed) / options.batch == pytest.approx(28.5 * 1.048576, rel=0.15)


def test_inference_never_asks_for_less_than_its_smallest_tile_needs(run):
    small = Needs(run())
    assert small.infer_mb == 8000
    large = run(network={"filters": 512}, patch_size=284, infer={"tile": 2000})
    shape = large.network.shape
    assert Needs(large).infer_mb * 1e6 >= BESIDES + tile_bytes(shape, next(iter(shape.tiles())))


def test_a_map_takes_time_by_the_slide_its_network_and_its_spacing(run):
    needs = Needs(run())
    start = needs.infer_minutes(0)
    assert needs.infer_minutes(2000) - start == pytest.approx(20 * (needs.infer_minutes(100) - start))
    assert Needs(run(network={"filters": 16})).infer_minutes(100) > needs.infer_minutes(100)


def test_the_time_of_a_known_map_is_within_what_is_asked_for():
    # HookNet(0.5, 8.0) of F = 16: 513 Mpx at 0.5 µm/px in 710 s on two cores (docs/performance.md), which are 205 MB
    # of a slide at 0.25 µm/px by the assumed 10 px a byte.
    run = demo()
    settings = run.settings.model_copy(update={"spacings": (0.5, 8.0), "patch_size": 284})
    network = settings.network.model_copy(update={"filters": 16, "depth": 4})
    run = replace(run, settings=settings.model_copy(update={"network": network}))
    asked = 60 * (Needs(run).infer_minutes(513 * 4 / 10) - 10)
    assert 710 < asked < 5 * 710
