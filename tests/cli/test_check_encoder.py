from __future__ import annotations

from pathlib import Path

import made_encoders
import pytest
import torch
import yaml
from made_cohort import EXPERIMENTS, FILES, OUTPUT, RUN, SLIDES, hooknet, refuse, step, truth

from hooknet.io.masks import Mask
from hooknet.models.encoders import make_encoder

SECTION = {
    "make": "made_encoders:aligned",
    "options": {"width": 5},
    "strides": [2, 4],
    "channels": [5, 5],
    "unit": 4,
    "rim": 4,
    "parameters": 580,
}


def test_the_section_that_is_printed_is_what_an_experiment_takes():
    outcome = hooknet("check-encoder", "made_encoders:aligned", "--options", '{"width": 5}')
    assert outcome.status == 0
    assert yaml.safe_load(outcome.out) == {"network": {"encoder": SECTION}}
    assert outcome.out.startswith("# stride 2: (")


def test_an_encoder_without_end_says_what_that_means():
    outcome = hooknet("check-encoder", "made_encoders:sees_all")
    assert "# what lies beyond a view reaches all of it: tiles will be as large as patches" in outcome.out
    assert "rim" not in yaml.safe_load(outcome.out)["network"]["encoder"]


def test_weights_have_to_fit_where_they_are_named(tmp_path):
    encoder = make_encoder("made_encoders:aligned", 3, {})
    torch.save(encoder.state_dict(), tmp_path / "w.pt")
    outcome = hooknet("check-encoder", "made_encoders:aligned", "--weights", tmp_path / "w.pt")
    assert yaml.safe_load(outcome.out)["network"]["encoder"]["weights"] == str(tmp_path / "w.pt")
    torch.save({"other": torch.ones(1)}, tmp_path / "w.pt")
    assert "w.pt: " in refuse("check-encoder", "made_encoders:aligned", "--weights", tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["made_encoders:shifted"],
         "encoder made_encoders:shifted: its map of stride 4 lies (+0.50, -0.00) px (x, y) off, wanted less than 0.2: "
         "px i has to show input px [4 i, 4 (i + 1)); pad so that it does"),
        (["made_encoders:aligned", "--options", "width=5"],
         "--options: found 'width=5', wanted JSON like '{\"width\": 64}'"),
        (["made_encoders:gone"],
         "encoder made_encoders:gone: found no function 'gone' in made_encoders; correct the name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(arguments, message):
    assert refuse("check-encoder", *arguments).replace("+0.00", "-0.00") == message


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("fails", "RuntimeError: no luck (in float64, of (1, 3, 32, 32)); correct its code"),
        ("leaves", "SystemExit: 3 (in float64, of (1, 3, 32, 32)); correct its code"),
        ("a mapping", "it gives dict, wanted a list of tensors; correct its code"),
        ("nothing", "it gives NoneType, wanted a list of tensors; correct its code"),
        ("arrays", "it gives list, wanted a list of tensors; correct its code"),
        ("whole numbers", "its maps are no real numbers; correct its code"),
        ("changes", "it changes the image it is given; correct its code"),
        ("chance",
         "in evaluation its map of stride 4 is another each time; leave chance (dropout, noise) to training"),
        ("dropout",
         "in evaluation its map of stride 4 is another each time; leave chance (dropout, noise) to training"),
    ],
)  # fmt: skip
def test_an_encoder_that_fails_or_is_no_function_of_its_image_is_one_line(how, message):
    assert refuse("check-encoder", "made_encoders:given", "--options", f'{{"how": "{how}"}}') == (
        f"encoder made_encoders:given: {message}"
    )


def test_numbers_that_are_none_are_one_line():
    found = "encoder Given: found strides ('a',), wanted whole numbers; correct its code"
    assert refuse("check-encoder", "made_encoders:given", "--options", '{"strides": "a"}') == found
    assert "found strides None," in refuse("check-encoder", "made_encoders:no_strides")
    message = refuse("check-encoder", "made_encoders:leaves")
    assert message == "encoder made_encoders:leaves: SystemExit: 3; correct its code or its options"


def test_a_file_may_have_dataclasses(tmp_path):
    """They look for their module where Python keeps those that are imported."""
    code = tmp_path / "own.py"
    code.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport made_encoders\n"
        "@dataclass\nclass Options:\n    width: int = 5\n"
        "def make(channels):\n    return made_encoders.aligned(channels, Options().width)\n"
    )
    outcome = hooknet("check-encoder", f"{code}:make")
    assert yaml.safe_load(outcome.out)["network"]["encoder"]["parameters"] == 580


@pytest.fixture
def own(cohort):
    """The cohort's experiment with an encoder of its own."""
    section = {**EXPERIMENTS["unet"], "patch_size": 48, "network": {"filters": 2, "encoder": SECTION}}
    Path("experiments.yaml").write_text(yaml.safe_dump({"experiments": {"unet": section}}))
    return section


def run(*arguments):
    outcome = hooknet(*arguments)
    assert outcome.status == 0, outcome


def train():
    """On patches whose output is as large as they are."""
    for slide in "ab":
        arguments = [48 if one == OUTPUT else one for one in step("index-centres", slide)]
        arguments[arguments.index("--output") + 1] = SLIDES / slide / "centres_48px_1um.parquet"
        run(*arguments)
    run(*step("train"))


def test_an_own_encoder_trains_and_predicts_by_the_commands_of_all_others(own):
    train()
    run(*step("infer"))
    run(*step("evaluate"))
    with Mask.open(RUN / "maps" / "c.tif") as found:
        assert (found.read(0, 0, 220, 180)[truth() > 0] > 0).all()


def test_nothing_of_an_encoder_runs_until_a_network_is_built(own):
    made_encoders.RUN.clear()
    assert hooknet("check", *FILES).status == 0
    outcome = hooknet("describe", "unet", *FILES)
    assert "encoder made_encoders:aligned: 580 parameters a branch; views in units of 4 px" in outcome.out
    assert made_encoders.RUN == []


def test_a_checkpoint_runs_no_code_unless_somebody_names_it(own):
    train()
    best = RUN / "best.ckpt"
    made_encoders.RUN.clear()
    message = refuse("export-onnx", best, "--out", "m.onnx")
    assert message == (
        f"{best}: its network has the encoder 'made_encoders:aligned', whose code would be run; give --encoder "
        "made_encoders:aligned if you trust it"
    )
    # An experiments file that names another encoder runs neither.
    other = {**own, "network": {"filters": 2, "encoder": {**SECTION, "make": "made_encoders:shifted"}}}
    Path("experiments.yaml").write_text(yaml.safe_dump({"experiments": {"unet": other}}))
    assert f"{best}: trained with network " in refuse(*step("infer"))
    assert made_encoders.RUN == []
    assert hooknet("export-onnx", best, "--out", "m.onnx", "--encoder", "made_encoders:aligned").status == 0
    assert "aligned" in made_encoders.RUN


def test_code_that_is_not_there_is_told_before_any_job(own):
    section = {**own, "network": {"encoder": {**SECTION, "make": "gone.py:f", "weights": "gone.pt"}}}
    Path("experiments.yaml").write_text(yaml.safe_dump({"experiments": {"unet": section}}))
    assert refuse("check", *FILES) == (
        "experiments.yaml: experiments.unet.network.encoder.make: found no file 'gone.py'; correct the path "
        "(paths start at the working directory) (and 1 more such files)"
    )
