import copy
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile

import browser
import made_workflow
import pytest
from compared import assert_the_same
from made_workflow import ENVIRONMENT, EXPERIMENTS, SYSTEMS, command, jobs, snakemake

# Long enough an epoch to be killed in the middle of the training.
LONGER = copy.deepcopy(EXPERIMENTS)
LONGER["defaults"]["train"].update(epochs=4, steps=40)


def with_train(system, **settings):
    changed = copy.deepcopy(EXPERIMENTS)
    changed["experiments"][system]["train"] = settings
    return changed


def copied(folder, tmp_path):
    """A copy with all times, which snakemake goes by, and its records."""
    place = tmp_path / "run"
    shutil.copytree(folder, place, symlinks=True)
    return place


def test_run_ends_with_a_report_of_every_system(finished):
    report = finished / "results" / "report" / "tiny"
    page = (report / "index.html").read_text(encoding="utf-8")
    for system in SYSTEMS:
        assert system in page
        run = finished / "results" / "runs" / system
        kept = {"probabilities", "calibration", "exports"} if system == "unet" else set()
        assert {path.name for path in run.iterdir()} - {".state.lock"} == kept | {
            "best.ckpt", "last.ckpt", "metrics.csv", "card.md", "maps", "counts", "windows", "boundaries", "quantities",
            "objects", "matches",
        }  # fmt: skip
    assert {path.suffix for path in (report / "figures").iterdir()} >= {".png", ".svg"}
    assert not list(finished.rglob("*partial*"))


def test_snakemakes_own_report_opens_offline_with_its_captions(finished, tmp_path):
    folder = copied(finished, tmp_path)
    found = snakemake(folder, "--report", "report.zip")
    assert found.returncode == 0, found.stdout
    with zipfile.ZipFile(folder / "report.zip") as packed:
        packed.extractall(tmp_path)
    with browser.opened() as chromium:
        chromium.open(tmp_path / "report" / "report.html")
        chromium.until("document.body.innerText.includes('training curves, scores and the report')")
        assert chromium.console() == []
    scores = list((tmp_path / "report").rglob("scores.csv"))
    assert len(scores) == 1
    assert list((tmp_path / "report").rglob("index.html"))


def test_every_job_has_left_a_log_and_a_benchmark(finished):
    logs = {
        path.relative_to(finished / "results" / "logs").with_suffix("") for path in logs_of(finished, "logs")
    }
    benchmarks = {
        path.relative_to(finished / "results" / "benchmarks").with_suffix("")
        for path in logs_of(finished, "benchmarks")
    }
    assert logs == benchmarks
    assert len(logs) == sum((3, 3, 3, 4, 1, 4, 1, 3, 3, 3, 6, 3, 1, 3, 3, 3, 2, 1, 1))


def logs_of(folder, kind):
    return [path for path in (folder / "results" / kind).rglob("*") if path.is_file()]


def test_second_run_has_nothing_to_do(finished):
    found = snakemake(finished)
    assert found.returncode == 0
    assert "Nothing to be done" in found.stdout


def chain(kept):
    """What follows for the one test slide from new weights or another way to predict."""
    found = dict.fromkeys(
        ("measure_boundaries", "quantify", "detect_objects", "match_objects", "compare", "report"), 1
    )
    if kept:
        found |= {"infer_with_probabilities": 1, "measure_calibration": 1, "export": 2}
    else:
        found |= {"infer": 1}
    return found | {"evaluate": 2}


@pytest.mark.parametrize("system", SYSTEMS)
def test_new_learning_rate_runs_the_chain_of_its_experiment_only(finished, tmp_path, system):
    folder = copied(finished, tmp_path)
    made_workflow.write(folder, with_train(system, learning_rate=2e-3))
    assert jobs(folder) == {"train": 1, "card": 1} | chain(kept=system == "unet")
    made_workflow.write(folder, with_train(system, workers=1))
    assert "train" not in jobs(folder), "workers change no result"
    made_workflow.write(folder, with_train(system, devices=2, nodes=2))
    assert "train" not in jobs(folder), "nor do the machines that it was trained on"


def test_maps_do_not_depend_on_how_slides_are_spread_over_jobs(finished, tmp_path):
    folder = copied(finished, tmp_path)
    spread = copy.deepcopy(EXPERIMENTS)
    for system, how in (
        ("unet", {"bundle_minutes": 60}),
        ("hooknet", {"bundle_minutes": 60}),
        ("mrn", {"split_gb": 1}),
    ):
        spread["experiments"][system].setdefault("infer", {}).update(how)
    made_workflow.write(folder, spread)
    found = snakemake(folder, "--nocolor", "predict")
    assert found.returncode == 0, found.stdout
    ran = set(re.findall(r"^(?:local)?rule (\w+):$", found.stdout, re.MULTILINE))
    assert ran >= {"infer_bundle", "unbundle", "unbundle_with_probabilities", "infer_band", "join_bands"}
    for kind, systems in (("maps", SYSTEMS), ("probabilities", ("unet",))):
        for system in systems:
            one, other = (
                place / "results" / "runs" / system / kind / "c1.tif" for place in (folder, finished)
            )
            assert one.stat().st_ino != other.stat().st_ino
            assert one.read_bytes() == other.read_bytes()
    left = [path for name in ("bundles", "bands") for path in folder.glob(f"results/runs/*/{name}/*")]
    assert left == []
    assert jobs(folder, "--nocolor", "predict") == {}


def test_new_experiment_at_a_coarser_spacing_runs_its_own_chain_only(finished, tmp_path):
    folder = copied(finished, tmp_path)
    more = copy.deepcopy(EXPERIMENTS)
    more["experiments"]["coarse"] = {"model": "unet", "spacings": [8.0]}
    made_workflow.write(folder, more)
    # The slides are checked for the new spacing, which makes no mask again.
    assert jobs(folder) == {"index_centres": 2, "train": 1, "card": 1} | chain(kept=False)


def test_replaced_slide_runs_all_that_is_made_of_it(finished, tmp_path):
    folder = copied(finished, tmp_path)
    with (folder / "results" / "demo" / "slides" / "c1.tif").open("ab") as slide:
        slide.write(b"another")
    once = {
        "check_slide": 1,
        "read_annotations": 1,
        "rasterise": 2,
        "detect_tissue": 1,
        "measure_calibration": 1,
    }
    assert once.items() <= jobs(folder).items()


def test_new_experiment_hides_no_other_change(finished, tmp_path):
    folder = copied(finished, tmp_path)
    changed = with_train("hooknet", learning_rate=2e-3)
    changed["experiments"]["coarse"] = {"model": "unet", "spacings": [8.0]}
    made_workflow.write(folder, changed)
    counts = jobs(folder)
    assert (counts["train"], counts["infer"]) == (2, 2)
    assert not {"check_slide", "rasterise"} & set(counts)


def test_new_tile_size_predicts_again_and_trains_nothing(finished, tmp_path):
    folder = copied(finished, tmp_path)
    changed = copy.deepcopy(EXPERIMENTS)
    changed["experiments"]["unet"]["infer"]["over"] = "everything"
    made_workflow.write(folder, changed)
    assert jobs(folder) == chain(kept=True)


def test_another_way_to_count_objects_masks_and_trains_nothing_again(finished, tmp_path, monkeypatch):
    folder = copied(finished, tmp_path)
    dataset = copy.deepcopy(made_workflow.DATASET)
    dataset["classes"]["lymphoid"]["objects"] = {"min_area_um2": 600}
    monkeypatch.setattr(made_workflow, "DATASET", dataset)
    made_workflow.write(folder)
    assert jobs(folder) == {"detect_objects": 3, "match_objects": 3, "compare": 1, "report": 1}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, finished):
    """A complete run with longer trainings, on the same slides."""
    folder = tmp_path_factory.mktemp("longer") / "run"
    shutil.copytree(finished, folder, symlinks=True)
    made_workflow.write(folder, LONGER)
    found = snakemake(folder)
    assert found.returncode == 0, found.stdout
    return folder


def kill_when(folder, results, there, tries=5):
    """Take results away, and all that follows; run the workflow, kill -9 all of it as soon as ``there()`` is true."""
    for _ in range(tries):
        for path in results:
            path.unlink(missing_ok=True)
        for path in (folder / "results" / "report", *(folder / "results" / "runs").glob("*/counts")):
            shutil.rmtree(path, ignore_errors=True)
        run = subprocess.Popen(
            command(), cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        while run.poll() is None and not there():
            time.sleep(0.001)
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        # What a killed process leaves behind is the proof that it was killed at its work.
        if there() and not any(path.exists() for path in results):
            return
    pytest.fail("the run was never caught at the place where it was to be killed")


def finish(folder, undisturbed):
    found = snakemake(folder)
    assert found.returncode == 0, found.stdout
    assert_the_same(folder, undisturbed)
    assert jobs(folder) == {}


@pytest.mark.slow
def test_kill_during_training_ends_with_the_same_weights(undisturbed, tmp_path):
    folder = copied(undisturbed, tmp_path)
    run = folder / "results" / "runs" / "hooknet"
    results = [run / name for name in ("best.ckpt", "last.ckpt", "metrics.csv")]
    kill_when(folder, results, (run / "state" / "state.ckpt").exists)
    assert (run / "state" / "state.ckpt").exists()
    finish(folder, undisturbed)
    assert "going on after epoch" in (folder / "results" / "logs" / "train" / "hooknet.log").read_text()
    assert not (run / "state").exists()


@pytest.mark.slow
def test_kill_during_prediction_ends_with_the_same_map(undisturbed, tmp_path):
    folder = copied(undisturbed, tmp_path)
    maps = folder / "results" / "runs" / "unet" / "maps"
    kill_when(folder, [maps / "c1.tif"], lambda: any(maps.glob(".c1.*.partial.tif")))
    finish(folder, undisturbed)


@pytest.mark.slow
def test_kill_during_rasterising_ends_with_the_same_mask(undisturbed, tmp_path):
    folder = copied(undisturbed, tmp_path)
    slide = folder / "results" / "slides" / "tiny" / "c1"
    kill_when(folder, [slide / "truth.tif"], lambda: any(slide.glob(".truth.*.partial.tif")))
    finish(folder, undisturbed)


def test_configuration_files_of_another_name_do_nothing_again(finished, tmp_path):
    folder = copied(finished, tmp_path)
    (folder / "config").rename(folder / "settings")
    options = ["--config", "datasets=settings/datasets.yaml", "experiments=settings/experiments.yaml"]
    assert jobs(folder, *options) == {}
