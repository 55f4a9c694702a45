import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from made_cohort import CENTRES, RUN, SLIDES, hooknet, refuse, step

from hooknet.io.locks import exclusive
from hooknet.io.tables import Centres, read_centres, write_centres

OUTPUTS = ("best.ckpt", "last.ckpt", "metrics.csv")


@pytest.fixture(autouse=True)
def untrained(cohort):
    """Everything is there but the training's results."""
    for name in OUTPUTS:
        (RUN / name).rename(f"before_{name}")


def change(**train):
    document = yaml.safe_load(Path("experiments.yaml").read_text())
    document["experiments"]["unet"]["train"].update(train)
    Path("experiments.yaml").write_text(yaml.safe_dump(document))


def weights(path):
    return torch.load(path, weights_only=True)["state"]


def test_training_writes_its_results_and_drops_its_state():
    assert hooknet(*step("train")).status == 0
    assert all((RUN / name).is_file() for name in OUTPUTS)
    assert not (RUN / "state").exists()
    curves = pd.read_csv(RUN / "metrics.csv")
    assert list(curves["epoch"]) == [1]
    assert list(curves["step"]) == [2]


def test_training_again_gives_the_same_weights_bit_by_bit():
    assert hooknet(*step("train")).status == 0
    before, after = weights("before_last.ckpt"), weights(RUN / "last.ckpt")
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_missing_index_is_one_line():
    (SLIDES / "a" / CENTRES).unlink()
    assert refuse(*step("train")) == f"{SLIDES}/a/{CENTRES}: no such file; make it with index-centres"


def test_damaged_index_is_one_line():
    (SLIDES / "a" / CENTRES).write_bytes(b"PAR1")
    message = refuse(*step("train"))
    assert message.startswith(f"{SLIDES}/a/{CENTRES}: not an index of patch centres (")
    assert message.endswith("); make it again with index-centres")


def test_class_absent_from_training_is_one_line():
    path = SLIDES / "a" / CENTRES
    index = read_centres(path)
    write_centres(
        path, Centres(index.table[index.table["label"] == 1], index.names, index.size, index.spacing)
    )
    assert refuse(*step("train")) == (
        "run unet: the 1 training slides have no annotated pixel of gland; wanted every class of the dataset: "
        "move a slide that has it, or annotate more"
    )


def test_checkpoint_to_start_from_that_does_not_fit_is_one_line():
    document = yaml.safe_load(Path("experiments.yaml").read_text())
    document["experiments"]["unet"]["network"]["filters"] = 2
    document["experiments"]["unet"]["train"]["init_from"] = "before_best.ckpt"
    Path("experiments.yaml").write_text(yaml.safe_dump(document))
    message = refuse(*step("train"))
    assert message.startswith("before_best.ckpt: tensor ")
    assert message.endswith("; use the settings it was trained with")


def test_checkpoint_to_start_from_that_is_missing_is_one_line():
    change(init_from="nowhere.ckpt")
    assert refuse(*step("train")) == (
        "nowhere.ckpt: no such file; train the model first or give another checkpoint"
    )


def test_unknown_run_is_one_line():
    arguments = step("train")
    arguments[arguments.index("unet")] = "unett"
    assert refuse(*arguments) == "experiments.yaml: no run 'unett'; did you mean 'unet'? possible: unet"


def test_missing_splits_are_one_line():
    (SLIDES / "splits.tsv").unlink()
    assert refuse(*step("train")).startswith(f"{SLIDES}/splits.tsv: not a sheet of splits (")


def test_slide_that_went_missing_is_one_line():
    Path("a.tif").unlink()
    assert refuse(*step("train")) == (
        "a.tif: found no such file; correct the slide's path in the datasets file"
    )


def test_second_training_of_a_run_is_refused_while_the_first_is_at_work():
    with exclusive(RUN / ".state.lock"):
        assert refuse(*step("train")) == (
            f"{RUN}/.state.lock: another process is at work in this folder; wait until it is done, or end it"
        )
    assert hooknet(*step("train")).status == 0


def test_state_of_other_settings_is_not_gone_on_with():
    (RUN / "state").mkdir()
    (RUN / "state" / "identity").write_text("another")
    shutil.copy("before_best.ckpt", RUN / "state" / "state.ckpt")
    assert hooknet(*step("train")).status == 0
    before, after = weights("before_last.ckpt"), weights(RUN / "last.ckpt")
    assert all(torch.equal(before[name], after[name]) for name in before)
