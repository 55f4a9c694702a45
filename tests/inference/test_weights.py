"""Weights of another run are refused in a line; of those that saw the slide it is told."""

import made_stages
import pytest
import torch

from hooknet.errors import CheckpointError
from hooknet.inference.classifying import load_classifier, random_classifier
from hooknet.inference.refining import load_refiner, random_refiner

PARENT = made_stages.classifier_run()


@pytest.fixture(scope="module")
def classifier_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "best.ckpt"
    return made_stages.save(path, random_classifier(PARENT), PARENT, slides=("a", "b"))


@pytest.fixture(scope="module")
def refiner_file(tmp_path_factory):
    run = made_stages.refiner_run(PARENT, size=16)
    path = tmp_path_factory.mktemp("weights") / "best.ckpt"
    return made_stages.save(path, random_refiner(run), run, slides=("a", "b"))


def test_weights_of_the_run_are_taken_as_they_are(classifier_file, refiner_file):
    network = load_classifier(PARENT, classifier_file, "c")
    assert not network.training
    for name, tensor in random_classifier(PARENT).state_dict().items():
        assert torch.equal(network.state_dict()[name].cpu(), tensor.cpu()), name
    run = made_stages.refiner_run(PARENT, size=16)
    found = load_refiner(run, refiner_file, "c").state_dict()
    assert all(
        torch.equal(found[name].cpu(), one.cpu()) for name, one in random_refiner(run).state_dict().items()
    )


def test_weights_drawn_by_chance_are_those_of_the_seed_and_leave_the_generator_alone():
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    random_classifier(PARENT)
    assert torch.equal(torch.rand(1), wanted)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"spacing": 0.5}, "trained with spacing 1.0, run patches has 0.5"),
        ({"patch_size": 64}, "trained with patch_size 32, run patches has 64"),
        (
            {"network": {"layout": "torchvision"}},
            "trained with network .*keras.*, run patches has .*torchvision",
        ),
        ({"network": {"dense": 7}}, "trained with network"),
    ],
)
def test_a_classifier_of_other_settings_is_refused(classifier_file, changes, told):
    with pytest.raises(CheckpointError, match=told) as caught:
        load_classifier(made_stages.classifier_run(**changes), classifier_file, "c")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(classifier_file))


@pytest.mark.parametrize(
    "changes", [{"stride": 16}, {"network": {"weights": "mobile.h5"}}, {"train": {"threads": 1, "epochs": 3}}]
)
def test_settings_that_do_not_change_the_network_may_differ(classifier_file, changes):
    load_classifier(made_stages.classifier_run(**changes), classifier_file, "c")


@pytest.mark.parametrize(
    ("parent", "changes", "told"),
    [
        (PARENT, {"size": 32}, "trained with size 16, run refined has 32"),
        (PARENT, {"size": 16, "stretch": True}, "trained with stretch False, run refined has True"),
        (
            PARENT,
            {"size": 16, "foreground": ("tumour",)},
            r"trained with foreground None, run refined has \['tumour'\]",
        ),
        (None, {"size": 16}, "trained with parent patches, run refined has None"),
        (
            PARENT,
            {"size": 16, "network": {"name": "agunet"}},
            "trained with network .*unet.*, run refined has .*agunet",
        ),
    ],
)
def test_a_refiner_of_other_settings_is_refused(refiner_file, parent, changes, told):
    with pytest.raises(CheckpointError, match=told) as caught:
        load_refiner(made_stages.refiner_run(parent, **changes), refiner_file, "c")
    assert "\n" not in str(caught.value)


def test_weights_for_other_classes_or_of_another_kind_are_refused(classifier_file, refiner_file):
    classes = {"tumour": {"value": 1, "colour": "#0000ff"}, "stroma": {"value": 2, "colour": "#ff0000"}}
    with pytest.raises(
        CheckpointError, match=r"trained with classes \['stroma', 'tumour'\], run patches has"
    ):
        load_classifier(made_stages.classifier_run(classes), classifier_file, "c")
    with pytest.raises(CheckpointError, match="trained with model refiner, run patches has classifier"):
        load_classifier(PARENT, refiner_file, "c")
    with pytest.raises(CheckpointError, match="trained with model classifier, run refined has refiner"):
        load_refiner(made_stages.refiner_run(PARENT, size=16), classifier_file, "c")


def test_a_slide_that_the_weights_have_seen_is_told_of(classifier_file, refiner_file, caplog):
    load_classifier(PARENT, classifier_file, "c")
    assert not caplog.records
    load_classifier(PARENT, classifier_file, "b")
    load_refiner(made_stages.refiner_run(PARENT, size=16), refiner_file, "a")
    assert "was trained or chosen on slide b; a score on it means nothing" in caplog.text
    assert "was trained or chosen on slide a; a score on it means nothing" in caplog.text
