import pytest
import yaml
from pydantic import ValidationError

from hooknet.config.hdc import HDCHRNetSettings
from hooknet.errors import ShapeError
from hooknet.models.describe import describe_experiment
from hooknet.shapes.hdc import Stage


def settings_of(**more):
    return HDCHRNetSettings.model_validate({"dataset": "d", "model": "hdc_hrnet", "spacings": [0.5], **more})


def network_of(**network):
    return settings_of(network=network).network_settings(3)


def test_without_more_it_is_the_description():
    of = settings_of().network_settings(4, channels=2)
    assert (of.width, of.stem, of.norm, of.version, of.channels) == (48, "stride4", "group", 2, 2)
    assert [len(one.dilations) for one in of.stages] == [2, 4, 6]
    assert of.deep_weights == (0.4, 0.3, 0.2, 0.1)
    assert (of.points.points, of.points.mode, of.points.important, of.points.oversample) == (
        2048,
        "paper",
        0.75,
        3,
    )


@pytest.mark.parametrize(
    ("size", "width", "points"), [("small", 32, False), ("base", 48, True), ("large", 64, True)]
)
def test_sizes_have_the_heads_of_the_description(size, width, points):
    of = network_of(size=size)
    assert (of.width, of.points is not None, of.shearlet) == (width, points, False)
    assert network_of(size=size, head="plain").points is None
    assert network_of(size=size, head="shearlet").shearlet
    assert network_of(size=size, head="shearlet").points is None


def test_stages_may_be_of_other_blocks_each():
    of = network_of(width=16, block="basic", stages=[{}, {"block": "dcn"}, {"block": "swin", "blocks": 3}])
    assert of.stages == (Stage("basic", (1, 1)), Stage("dcn", (1, 2, 4, 8)), Stage("swin", (1, 1, 1)))
    of = network_of(stages=[{"dilations": [1, 1]}, {"blocks": 7}, {}])
    assert of.stages[0].dilations == (1, 1)
    assert of.stages[1].dilations == (1, 2, 4, 8, 16, 32, 32)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"spacings": [0.5, 1.0]}, "an hdc_hrnet has one spacing, found"),
        ({"infer": {"engine": "openvino"}}, "infer.engine openvino: it cannot compile an hdc_hrnet"),
        ({"network": {"block": "swin", "stages": [{"dilations": [1, 2]}, {}, {}]}},
         r"stages.0.dilations: found \[1, 2\] for block 'swin', which has none"),
        ({"network": {"stages": [{"blocks": 3, "dilations": [1]}, {}, {}]}}, "1 dilations for 3 blocks"),
        ({"network": {"stages": [{}, {}]}}, "stages"),
        ({"train": {"losses": {"points": 0}}}, "PointRend would learn nothing and yet change maps"),
        ({"network": {"size": "small", "points": {"points": 9}}}, "head auto of size small has none"),
        ({"network": {"head": "plain"}, "train": {"losses": {"points": 2}}}, "head plain of size base has none"),
        ({"network": {"points": {"mode": "repo", "oversample": 2}}}, "points.oversample is for mode paper"),
        ({"network": {"block": "swin", "version": 3}}, "network.version is for blocks dcn"),
        ({"infer": {"tile": 64}}, r"infer.tile: found 64, but tiles are as large as patches \(256 px\)"),
        ({"train": {"optimiser": "adam"}}, "weight_decay 1e-05 with optimiser adam"),
        ({"train": {"losses": {"cross_entropy": 0, "dice": 0}}}, "every weight of the loss is 0"),
        ({"train": {"losses": {"cross_entropy": 0, "dice": 0, "boundary": 1}}},
         "boundary alone with boundary_warmup 10"),
    ],
)  # fmt: skip
def test_wrong_settings_are_told(changes, told):
    with pytest.raises(ValidationError, match=told):
        settings_of(**changes)


def test_losses_are_those_with_a_weight():
    assert settings_of().train.losses.terms == {"cross_entropy": 1.0, "dice": 1.0}
    assert settings_of().train.losses.point_weight == 1.0
    losses = settings_of(train={"losses": {"frequency": 0.1, "points": 0.5}}).train.losses
    assert losses.terms == {"cross_entropy": 1.0, "dice": 1.0, "frequency": 0.1}
    assert losses.point_weight == 0.5


def test_what_weights_are_used_with_does_not_name_losses():
    read = settings_of().read_as()
    assert set(read) == {"model", "spacings", "patch_size", "network"}
    assert yaml.safe_load(yaml.safe_dump(read)) == read


def test_a_rim_that_leaves_nothing_is_told_before_training():
    with pytest.raises(ShapeError, match="a rim of 128 px leaves nothing of a 256 px tile"):
        settings_of(infer={"rim": 128}).check_classes(("a", "b"))


def test_settings_that_were_stored_with_weights_are_read_again():
    for network in ({}, {"size": "small"}, {"points": {"mode": "repo"}}, {"block": "swin"}):
        stored = settings_of(network=network)
        assert HDCHRNetSettings.model_validate(stored.model_dump(mode="json")) == stored


def test_it_is_described():
    told = describe_experiment(settings_of(network={"size": "small"}), 4).splitlines()
    assert told[0] == "hdc_hrnet small(0.5 µm/px)"
    assert "4 classes, group norm, head: 1x1 convolution" in told[1]
    assert (
        told[3]
        == "stream 1: 64 px, 32 channels; stage 2 dcn 1 2; stage 3 dcn 1 2 4 8; stage 4 dcn 1 2 4 8 16 32"
    )
    assert told[6] == "stream 4: 8 px, 256 channels; stage 4 dcn 1 2 4 8 16 32"
    assert told[7].startswith("inference: views of 256 px every 192 px; what a px gets depends on its tile")
