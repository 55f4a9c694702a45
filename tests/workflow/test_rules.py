import copy
import re
import subprocess

import made_workflow
import pytest
import yaml
from made_workflow import BIN, ENVIRONMENT, ROOT, jobs, snakemake

from hooknet.cli.main import COMMANDS

FOR_PEOPLE = {
    "predict", "view", "check", "check_encoder", "describe", "preview_batch", "time_stages", "make_demo_volumes",
    "import_volumes", "import_keras", "export_onnx",
}  # fmt: skip
# Of systems of stages, which the demo has none of (see test_stages.py).
STAGES = {"fit_clusters", "train_classifier", "classify_patches", "train_refiner", "refine", "paint_tissue"}
# Of slices of volumes, which the demo has none of either.
OF_VOLUMES = {"measure_volume"}
# Of slides in bands and of slides that share a job, which the demo has none of.
SPREAD = {"join_bands", "infer_bundle", "unbundle"}
# Of weights that are used as they are.
GIVEN = {"overview"}
# Where slides may be skipped.
SKIPPING = {"verdict", "verdict_of_predictions"}
# Of a search over fields of view (see test_search.py).
SEARCHING = {"train_trial", "rank_views", "promote_trials", "decide_views"}
# The demo keeps probabilities: its maps are made by a rule of their own, of the same command.
KEPT = "infer_with_probabilities"


@pytest.fixture
def tiny(tmp_path):
    made_workflow.write(tmp_path)
    return tmp_path


@pytest.fixture
def shipped(tmp_path):
    """A folder to run the shipped configuration in."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    return tmp_path


def rules():
    """Name -> text of every rule that runs a command."""
    texts = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    parts = re.split(r"^(?:rule|checkpoint) (\w+):$", texts, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_rules_are_called_like_the_commands_they_run():
    assert set(rules()) == set(COMMANDS) - FOR_PEOPLE
    for name, text in rules().items():
        assert f"python -m hooknet {name.replace('_', '-')} " in text


@pytest.mark.parametrize("part", ["log:", "benchmark:", "conda:", "threads:", "mem_mb=", "runtime="])
def test_every_rule_has(part):
    assert [name for name, text in rules().items() if part not in text] == []


def test_training_and_prediction_ask_for_the_gpu():
    assert {name for name, text in rules().items() if re.search(r"^        gpu=", text, re.MULTILINE)} == {
        "train", "train_trial", "infer", "infer_bundle", "train_classifier", "classify_patches",
        "train_refiner", "refine",
    }  # fmt: skip


def test_outputs_of_every_rule_go_to_results():
    for name, text in rules().items():
        outputs = re.search(r"    output:\n(.*?)\n    log:", text, re.DOTALL)[1]
        for path in re.findall(r'"([^"{]*/[^"]*)"', outputs):
            assert path.startswith(("results/", "../report/")), (name, path)


def test_lint_finds_nothing(shipped):
    found = snakemake(shipped, "--lint")
    assert found.returncode == 0, found.stdout
    assert "Congratulations" in found.stdout


def test_snakefmt_has_nothing_to_change():
    found = subprocess.run(
        [str(BIN / "snakefmt"), "--check", "Snakefile", "workflow"], cwd=ROOT, env=ENVIRONMENT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr


def test_both_snakefiles_give_the_same_jobs(shipped):
    root = jobs(shipped)
    assert root == jobs(shipped, snakefile=ROOT / "workflow" / "Snakefile")
    assert (
        set(root) - {KEPT} | {"infer"}
        == set(rules()) - STAGES - OF_VOLUMES - SPREAD - SKIPPING - GIVEN - SEARCHING
    )


def test_jobs_of_a_run_are_counted_out(tiny):
    # Three slides, one of them to test; three systems, of which the MRN
    # counts larger label patches; one slide with two kinds of truth.
    assert jobs(tiny) == {
        "make_demo_slide": 3, "check_slide": 3, "read_annotations": 3, "rasterise": 4, "detect_tissue": 1,
        "index_centres": 4, "make_splits": 1, "train": 3, "infer": 2, KEPT: 1, "export": 2, "evaluate": 6,
        "measure_boundaries": 3, "measure_calibration": 1, "quantify": 3, "detect_objects": 3, "match_objects": 3,
        "compare": 1, "report": 1, "card": 3,
    }  # fmt: skip


def test_slides_with_large_files_are_predicted_in_bands(tmp_path, monkeypatch):
    dataset = copy.deepcopy(made_workflow.DATASET)
    del dataset["phantom"]
    for slide in dataset["slides"]:
        named = {"slide": f"{slide['id']}.tif", "annotation": f"{slide['id']}.xml", "truth": "-"}
        slide.update(named)
        for name in (named["slide"], named["annotation"]):
            (tmp_path / name).write_bytes(bytes(2500))
    experiments = copy.deepcopy(made_workflow.EXPERIMENTS)
    # Of 2,500 bytes: three jobs of a kilobyte for one system, one for the others.
    experiments["experiments"]["mrn"].setdefault("infer", {})["split_gb"] = 1e-6
    monkeypatch.setattr(made_workflow, "DATASET", dataset)
    monkeypatch.setattr(made_workflow, "EXPERIMENTS", experiments)
    made_workflow.write(tmp_path)
    counts = jobs(tmp_path)
    assert (counts["infer_band"], counts["join_bands"], counts["infer"] + counts[KEPT]) == (3, 1, 2)


def test_small_slides_share_jobs(tmp_path, monkeypatch):
    dataset = copy.deepcopy(made_workflow.DATASET)
    dataset["slides"] += [{"id": f"c{number}", "split": "test"} for number in range(2, 6)]
    experiments = copy.deepcopy(made_workflow.EXPERIMENTS)
    one = made_workflow.EXPERIMENTS["experiments"]["mrn"]
    # Five small test slides in one job; where it may take no longer than to start, each in its own.
    for name, limit in (("mrn", 60), ("mrn_alone", 1)):
        experiments["experiments"][name] = {**one, "infer": {"bundle_minutes": limit}}
    monkeypatch.setattr(made_workflow, "DATASET", dataset)
    monkeypatch.setattr(made_workflow, "EXPERIMENTS", experiments)
    made_workflow.write(tmp_path)
    counts = jobs(tmp_path)
    assert (counts["infer_bundle"], counts["unbundle"]) == (1 + 5, 5 + 5)
    assert (counts["infer"], counts[KEPT]) == (5, 5)
    # A slide that is not for testing has a job of its own.
    other = jobs(tmp_path, "--nocolor", "results/runs/mrn/maps/a1.tif")
    assert (other["infer_bundle"], other["unbundle"], other["train"]) == (1, 1, 1)
    found = snakemake(tmp_path, "-n", "--nocolor", "results/runs/mrn/maps/c11.tif")
    assert "no slide 'c11'" in found.stdout


def test_slides_without_anything_to_score_against_are_mapped_only(tmp_path, monkeypatch):
    dataset = copy.deepcopy(made_workflow.DATASET)
    dataset["slides"][2].update(annotation="-", truth="-")
    monkeypatch.setattr(made_workflow, "DATASET", dataset)
    made_workflow.write(tmp_path)
    counts = jobs(tmp_path)
    assert (counts["train"], counts["infer"], counts[KEPT]) == (3, 2, 1)
    assert (counts["quantify"], counts["detect_objects"]) == (3, 3)
    assert not {"evaluate", "compare", "report", "measure_boundaries", "match_objects"} & set(counts)


def test_new_slides_of_weights_at_hand_are_given_a_page(tmp_path, monkeypatch):
    dataset = {"classes": made_workflow.DATASET["classes"], "slides": "new/*.tif"}
    (tmp_path / "new").mkdir()
    for name in ("one.tif", "two.tif", "notes.txt"):
        (tmp_path / "new" / name).write_bytes(b"")
    (tmp_path / "best.ckpt").write_bytes(b"")
    experiments = copy.deepcopy(made_workflow.EXPERIMENTS)
    experiments["experiments"] = {
        "given": {**experiments["experiments"]["hooknet"], "checkpoint": "best.ckpt"},
    }
    monkeypatch.setattr(made_workflow, "DATASET", dataset)
    made_workflow.write(tmp_path, experiments)
    wanted = {
        "check_slide": 2, "detect_tissue": 2, "make_splits": 1, "infer": 2, "quantify": 2, "detect_objects": 2,
        "overview": 1,
    }  # fmt: skip
    assert jobs(tmp_path) == wanted
    assert jobs(tmp_path, "--nocolor", "predict") == {**wanted, "predict": 1}
    # The card of the weights, where it is asked for.
    assert jobs(tmp_path, "--nocolor", "results/runs/given/card.md") == {"card": 1}


def test_pages_of_a_mean_need_all_its_weights_and_its_uncertainty(tmp_path):
    experiments = copy.deepcopy(made_workflow.EXPERIMENTS)
    network = experiments["experiments"]["mrn"]
    infer = {"ensemble": ["mrn"], "probabilities": True, "uncertainty": True}
    experiments["experiments"] = {"mrn": {**network, "seeds": [1, 2]}, "mean": {**network, "infer": infer}}
    made_workflow.write(tmp_path, experiments)
    found = snakemake(
        tmp_path, "-n", "--nocolor", "results/runs/mean/overview.html", "results/report/tiny/index.html"
    )
    assert found.returncode == 0, found.stdout
    for name in ("overview", "report"):
        inputs = re.search(rf"^rule {name}:\n    input: (.*)$", found.stdout, re.MULTILINE)[1].split(", ")
        assert f"results/runs/mean/uncertainty/{made_workflow.DATASET['slides'][2]['id']}.tif" in inputs
        assert not [one for one in inputs if "mrn" in one and "uncertainty" in one]
        if name == "overview":
            assert [one for one in inputs if one.endswith("best.ckpt")] == [
                "results/runs/mrn-seed1/best.ckpt",
                "results/runs/mrn-seed2/best.ckpt",
            ]


def test_slides_that_are_slices_are_scored_as_volumes_too(tmp_path, monkeypatch):
    dataset = copy.deepcopy(made_workflow.DATASET)
    last = {**dataset["slides"][2], "patient": "c", "thickness": 8.0}
    dataset["slides"][2:] = [
        {**last, "id": f"c{number}", "volume": "early" if number < 3 else "late", "position": number % 3}
        for number in range(6)
    ]
    dataset["slides"][0].update(volume="trained_on", position=0, thickness=8.0)
    monkeypatch.setattr(made_workflow, "DATASET", dataset)
    made_workflow.write(tmp_path)
    counts = jobs(tmp_path)
    # Two volumes of three test slices each, and three systems.
    assert (counts["measure_boundaries"], counts["measure_volume"], counts["report"]) == (18, 6, 1)
    one = jobs(tmp_path, "--nocolor", "results/runs/mrn/volumes/late.csv")
    assert (one["train"], one["infer"], one["measure_volume"]) == (1, 3, 1)
    found = snakemake(tmp_path, "-n", "--nocolor", "results/runs/mrn/volumes/later.csv")
    assert "ConfigError: no volume 'later'; did you mean 'late'? possible: " in found.stdout


def test_the_phantom_study_trains_ten_systems_three_times(shipped):
    counts = jobs(shipped, "--config", "experiments=config/examples/phantom_study/experiments.yaml")
    assert (counts["train"], counts["report"]) == (30, 1)


@pytest.mark.skipif(not (ROOT.parent / "shared" / "data" / "glas").is_dir(), reason="needs the GlaS fields")
def test_glas_trains_four_systems_on_three_folds_with_three_seeds():
    folder = "config/examples/glas"
    options = ("--config", f"datasets={folder}/datasets.yaml", f"experiments={folder}/experiments.yaml")
    # Its paths start at the repository, where nothing is written by a dry run.
    counts = jobs(ROOT, *options, "--forceall")
    assert {name: counts[name] for name in ("check_slide", "rasterise", "train", "infer", "evaluate")} == {
        "check_slide": 39,
        "rasterise": 78,
        "train": 36,
        "infer": 468,
        "evaluate": 936,
    }


@pytest.mark.parametrize("name", ["breast", "lung"])
def test_examples_of_private_cohorts_say_which_file_is_missing(name):
    folder = f"config/examples/{name}"
    options = ("--config", f"datasets={folder}/datasets.yaml", f"experiments={folder}/experiments.yaml")
    found = snakemake(ROOT, "-n", *options)
    assert found.returncode == 1
    assert (
        f"hooknet: {folder}/datasets.yaml: datasets.{name}: slide '{name}01': slide: found no file"
        in found.stdout
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "line"),
    [
        ("experiments", "patch_size", "patch_siez",
         "config/experiments.yaml: defaults.patch_siez: unknown key; did you mean 'patch_size'? possible: "),
        ("experiments", "dataset: tiny", "dataset: tinny",
         "config/experiments.yaml: experiments.unet.dataset: no dataset 'tinny'; did you mean 'tiny'? possible: tiny"),
        ("experiments", "- 4.0", "- 5.0",
         "config/experiments.yaml: experiments.hooknet: no decoder map of a branch at 5 µm/px "),
        ("datasets", "split: test", "split: tset",
         "config/datasets.yaml: datasets.tiny.slides.2.split: found 'tset', wanted 'training', 'validation' or 'test'"),
        ("datasets", "datasets:", "datasets: [", "config/datasets.yaml: line "),
    ],
)  # fmt: skip
def test_wrong_configuration_stops_snakemake_with_one_line(tiny, file, old, new, line):
    path = tiny / "config" / f"{file}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    found = snakemake(tiny)
    assert found.returncode == 1
    told = [one for one in found.stdout.splitlines() if not one.startswith("Using workflow specific profile")]
    assert len(told) == 1, found.stdout
    assert told[0].startswith(f"hooknet: {line}")
    assert not (tiny / "results").exists()


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("results/runs/unet/maps/c2.tif", "ConfigError: no slide 'c2'; possible: a1, b1, c1"),
        ("results/slides/tiny/c2/labels.tif", "ConfigError: no slide 'c2'; possible: a1, b1, c1"),
        # What the workflow draws is the phantoms' alone: other files of these folders are taken as they are.
        ("results/demo/slides/c2.tif", "MissingRuleException"),
        ("results/runs/unett/maps/c1.tif", "MissingRuleException"),
    ],
)
def test_targets_of_unknown_slides_and_runs_are_refused(tiny, target, told):
    found = snakemake(tiny, "-n", "--nocolor", target)
    assert found.returncode == 1
    assert told in found.stdout


def test_profile_is_found_and_goes_on_after_a_crash():
    profile = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    assert profile["rerun-incomplete"] is True
    assert profile["nolock"] is True
    # `--resources gpu=1` would replace any resources of the profile.
    assert "resources" not in profile


def test_prepare_makes_what_trainings_draw_from_and_trains_nothing(tiny):
    found = jobs(tiny, "--nocolor", "prepare")
    assert {"check_slide", "rasterise", "make_splits", "index_centres", "prepare"} <= set(found)
    assert not {"train", "infer", "detect_tissue", "report"} & set(found)
