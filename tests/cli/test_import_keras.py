from __future__ import annotations

import hashlib
from pathlib import Path

import made_keras
import numpy as np
import pytest
import torch
import yaml
from made_cohort import FILES, hooknet, image, refuse, step

from hooknet.config.project import load_project
from hooknet.io.masks import Mask
from hooknet.models.checkpoint import load_checkpoint, save_checkpoint
from hooknet.training.loop import checkpoint_spec

NETWORK = {"filters": 3, "depth": 1}
IMPORT = ("import-keras", "weights.h5", "--experiment", "published", "--out", "published.ckpt", *FILES)


def add(**settings):
    """The experiment ``published``: the cohort's own, seen at two spacings, with weights from elsewhere."""
    document = yaml.safe_load(Path("experiments.yaml").read_text())
    own = {"model": "hooknet", "spacings": [1.0, 2.0], "checkpoint": "published.ckpt", "network": NETWORK}
    own |= settings
    document["experiments"]["published"] = document["experiments"]["unet"] | own
    Path("experiments.yaml").write_text(yaml.safe_dump(document))
    return load_project("datasets.yaml", "experiments.yaml").run("published")


@pytest.fixture
def run(cohort):
    return add()


@pytest.fixture
def network(run):
    """Weights by chance that find both classes on slide c."""
    of = run.network
    network = made_keras.network_of(3, **{name: getattr(of, name) for name in of.__dataclass_fields__})
    pixels = torch.from_numpy(image(2)).permute(2, 0, 1)[None] / 255
    seen = [pixels[..., top : top + 44, left : left + 44] for top, left in ((40, 30), (40, 130))]
    with torch.no_grad():
        left, right = (network([one, one])[0].mean((0, 2, 3)) for one in seen)
        network["target"]["out"].bias -= (left + right) / 2
    return network


@pytest.fixture
def weights(network):
    return made_keras.write(Path("weights.h5"), network, (5, 2), rescaling=2)


def infer(checkpoint, output):
    arguments = step("infer")
    for option, value in (("--run", "published"), ("--checkpoint", checkpoint), ("--output", output)):
        arguments[arguments.index(option) + 1] = value
    outcome = hooknet(*arguments)
    assert outcome.status == 0, outcome


def test_imported_weights_predict_as_the_network_that_they_are_of(run, network, weights):
    assert hooknet(*IMPORT, "--input-scale", "255").status == 0
    save_checkpoint("same.ckpt", network, checkpoint_spec(run, ()))
    infer("published.ckpt", "a.tif")
    infer("same.ckpt", "b.tif")
    with Mask.open(Path("a.tif")) as found, Mask.open(Path("b.tif")) as same:
        assert found.names == ("stroma", "gland")
        assert np.unique(found.read(0, 0, 220, 180)).tolist() == [0, 1, 2]
        np.testing.assert_array_equal(found.read(0, 0, 220, 180), same.read(0, 0, 220, 180))
        # The file tells which weights they were.
        differ = {key for key in found.made if found.made[key] != same.made[key]}
        assert differ == {"weights"}


def test_the_checkpoint_says_where_the_weights_come_from(run, network, weights):
    assert hooknet(*IMPORT, "--input-scale", "1").status == 0
    found = load_checkpoint("published.ckpt")
    wanted = checkpoint_spec(run, ()) | {"seed": None, "fold": None}
    assert found.spec == {**wanted, "settings": run.settings.model_dump(mode="json")}
    assert found.spec["slides"] == []
    assert found.extra == {
        "source": "weights.h5",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "input_scale": 1,
        "first_kernels_multiplied_by": 1,
    }
    state = network.state_dict()
    assert found.state_dict.keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.state_dict.items())


def test_the_workflow_predicts_with_them_where_the_experiment_names_them(run, weights):
    assert hooknet(*IMPORT, "--input-scale", "255").status == 0
    assert run.weights == Path("published.ckpt")
    outcome = hooknet("check", *FILES)
    assert outcome.status == 0, outcome


def test_raw_pixels_are_recorded_and_told(network, run):
    made_keras.write(Path("weights.h5"), network)
    outcome = hooknet(*IMPORT, "--input-scale", "255")
    assert outcome.status == 0
    found = load_checkpoint("published.ckpt")
    assert found.extra["first_kernels_multiplied_by"] == 255
    first = network["target"]["enc0"]["conv0"].weight.detach()
    assert torch.equal(found.state_dict["target.enc0.conv0.weight"], first * 255)


def test_the_input_scale_must_be_said(run, weights):
    outcome = hooknet(*IMPORT)
    assert outcome.status == 2
    assert "--input-scale" in outcome.err
    assert hooknet(*IMPORT, "--input-scale", "127").status == 2
    assert not Path("published.ckpt").exists()


def test_weights_that_do_not_fit_are_one_line(weights):
    add(network={"filters": 2, "depth": 1})
    message = refuse(*IMPORT, "--input-scale", "1")
    assert message == (
        "weights.h5: found tensor conv2d_5/conv2d_5/kernel:0 of shape (3, 3, 3, 3), wanted (3, 3, 3, 2) for "
        "context.enc0.conv0; the weights fit network.filters: 3: correct the experiment if it is meant for them"
    )


def test_a_missing_file_is_one_line(run):
    assert refuse(*IMPORT, "--input-scale", "1") == "weights.h5: no such file, wanted Keras weights (.h5)"


def test_an_unknown_experiment_is_one_line(weights):
    arguments = [one if one != "published" else "publishd" for one in IMPORT]
    assert refuse(*arguments, "--input-scale", "1").startswith("experiments.yaml: no experiment 'publishd'; ")


def test_an_mrn_is_one_line(weights):
    add(model="mrn", patch_size=48)
    assert refuse(*IMPORT, "--input-scale", "1") == (
        "weights.h5: experiment published is of model mrn, Keras weights are of a unet or hooknet; give such an "
        "experiment"
    )


def test_weights_are_not_replaced_by_their_checkpoint(weights):
    arguments = [one if one != "published.ckpt" else "./weights.h5" for one in IMPORT]
    assert refuse(*arguments, "--input-scale", "1") == (
        "weights.h5: the checkpoint would replace the weights; give another --out"
    )


def test_weights_of_keras_given_to_infer_are_one_line(weights):
    arguments = step("infer")
    arguments[arguments.index("--checkpoint") + 1] = "weights.h5"
    assert refuse(*arguments).startswith("weights.h5: ")


ORACLE = Path(__file__).resolve().parents[2].parent / "shared" / "oracle"


@pytest.mark.skipif(not ORACLE.is_dir(), reason="the oracle files are not beside this checkout")
def test_the_file_that_keras_wrote_predicts_what_keras_predicted(cohort):
    from hooknet.inference.whole_slide import load_network

    classes = {
        name: {"value": value, "colour": "#112233"} for value, name in enumerate(("tls", "gc", "other"), 1)
    }
    datasets = yaml.safe_load(Path("datasets.yaml").read_text())
    datasets["datasets"]["lung"] = datasets["datasets"]["colon"] | {"classes": classes, "tissue": {}}
    Path("datasets.yaml").write_text(yaml.safe_dump(datasets))
    run = add(
        dataset="lung", spacings=[0.5, 2.0], patch_size=284, loss_weights=[1, 0],
        network={"filters": 4, "activation": "leaky_relu"}, infer={"tile": 1244},
    )  # fmt: skip
    arguments = [str(ORACLE / "tls_like_weights.h5") if one == "weights.h5" else one for one in IMPORT]
    outcome = hooknet(*arguments, "--input-scale", "255")
    assert outcome.status == 0, outcome
    network = load_network(run, Path("published.ckpt"), "c").cpu()
    with np.load(ORACLE / "hook_0.5_2.0_single_tls.npz") as file:
        views = [torch.from_numpy(file[f"x/{name}"]) for name in ("target", "context")]
        wanted = file["y/target"]
    with torch.no_grad():
        logits = network([one.permute(0, 3, 1, 2) / 255 for one in views])[0]
    assert np.abs(logits.softmax(1).permute(0, 2, 3, 1).numpy() - wanted).max() < 1e-5


def test_an_experiment_that_hooks_by_attention_is_refused(weights):
    add(network={**NETWORK, "merge": "attention", "window": 1})
    message = refuse(*IMPORT, "--input-scale", "1")
    assert message == (
        "weights.h5: experiment published hooks by attention, which the official code does not; name the merge that "
        "the weights were trained with"
    )
