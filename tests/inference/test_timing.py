import made_slides
import made_stages
import numpy as np
import pytest

from hooknet.config.datasets import SlideSettings
from hooknet.inference import timing
from hooknet.inference.classifying import Classifying
from hooknet.inference.refining import Refining
from hooknet.inference.timing import TIMES, StageWeights, System, Times, system_of, time_stages, write_times


@pytest.fixture
def slide(tmp_path):
    image = np.full((150, 200, 3), 240, np.uint8)
    image[20:120, 30:160] = (150, 60, 120)
    return SlideSettings(id="s", slide=str(made_slides.write_slide(tmp_path / "s.tif", image, spacing=1.0)))


def runs(**infer):
    parent = made_stages.classifier_run(infer={"over": "tissue", **infer})
    return parent, made_stages.refiner_run(parent)


def system(slide, tissue=None, **infer):
    parent, run = runs(**infer)
    return System(
        slide, tissue, Classifying(parent, made_stages.RedPatches()), Refining(run, made_stages.RedSlide())
    )


def test_mean_spread_and_total():
    times = Times({"patch-wise": [1.0, 2.0, 6.0], "refinement": [0.5, 0.5, 1.0]}, {}, 7)
    rows = {stage: (mean, sd) for stage, mean, sd in times.rows()}
    assert list(rows) == ["patch-wise", "refinement", "total"]
    assert rows["patch-wise"] == (3.0, pytest.approx(7**0.5))
    assert rows["total"] == (pytest.approx(11 / 3), pytest.approx(np.std([1.5, 2.5, 7.0], ddof=1)))
    assert list(Times({"patch-wise": [2.0]}, {}, 7).rows()) == [
        ("patch-wise", 2.0, None),
        ("total", 2.0, None),
    ]


def test_each_repeat_is_measured_after_one_that_is_not(slide, monkeypatch, tmp_path):
    folders, done = [], []
    once = System.once
    monkeypatch.setattr(System, "once", lambda self, folder: folders.append(folder) or once(self, folder))
    times = time_stages(system(slide), 3, done.append)
    assert list(times.seconds) == ["tissue", "patch-wise", "refinement"]
    assert {len(one) for one in times.seconds.values()} == {3}
    assert min(min(one) for one in times.seconds.values()) > 0
    assert len(set(folders)) == 4
    assert not any(one.exists() for one in folders)
    assert done == [0, 1, 2, 3]
    assert times.engines == {"patch-wise": "torch on cpu, fp32", "refinement": "torch on cpu, fp32"}
    assert 6 <= times.patches <= 16  # 130 x 100 of tissue, in cells of 32 px


def test_tissue_that_is_given_or_not_needed_is_no_stage(slide, tmp_path):
    mask = made_slides.write_mask(tmp_path / "t.tif", np.ones((150, 200), np.uint8), 1.0, 1.0)
    assert list(time_stages(system(slide, mask), 1).seconds) == ["patch-wise", "refinement"]
    everything = system(slide, over="everything")
    assert list(time_stages(everything, 1).seconds) == ["patch-wise", "refinement"]


def test_a_classifier_and_a_refiner_without_a_parent_have_one_stage(slide):
    parent, _ = runs(over="everything")
    found = time_stages(system_of(parent, slide, StageWeights(None), None), 1)
    assert list(found.seconds) == ["patch-wise"]
    alone = made_stages.refiner_run(size=16)
    found = time_stages(system_of(alone, slide, StageWeights(None), None), 1)
    assert list(found.seconds) == ["refinement"]
    assert found.patches == 0


def test_what_was_measured_is_written_with_where(slide, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "device_name", lambda: "a processor")
    _, run = runs()
    times = Times({"patch-wise": [1.0, 2.0], "refinement": [0.5, 0.5]}, {"patch-wise": "OpenVINO, fp32"}, 7)
    write_times(tmp_path / "times.csv", times, run, slide)
    about = ["refined", "s", "200", "150", "1", "7", "a processor", "1"]
    assert [row for _, row in TIMES.read(tmp_path / "times.csv")] == [
        [*about, "patch-wise", "OpenVINO, fp32", "2", "1.5000", "0.7071"],
        [*about, "refinement", "", "2", "0.5000", "0.0000"],
        [*about, "total", "", "2", "2.0000", "0.7071"],
    ]


def test_repeats_tell_nothing_of_the_slide(slide, caplog):
    caplog.set_level("INFO", "hooknet")
    time_stages(system(slide, over="everything"), 3)
    assert caplog.text.count("predicted") == 2  # the warm-up's two maps
