from dataclasses import replace

import pytest
import torch

from hooknet.errors import ShapeError
from hooknet.models.table import build_model
from hooknet.shapes.hdc import STAGE_BLOCKS, WIDTHS, HDCSettings, Stage, pyramid
from hooknet.shapes.hdc_heads import PointOptions

BLOCKS = ("basic", "convnext", "dcn", "inverted_residual", "swin", "fno", "wavelet", "rwkv")
DEEP = (0.4, 0.3, 0.2, 0.1)
POINTS = PointOptions(points=32, hidden=8, inference_points=64)


def stages(block, *counts):
    return tuple(Stage(block, pyramid(count) if block == "dcn" else (1,) * count) for count in counts)


def settings_of(**changes):
    """Small: one block a stage."""
    base = {
        "spacings": (0.5,),
        "classes": 3,
        "patch_size": 64,
        "width": 4,
        "stages": stages("basic", 1, 1, 1),
        "stem": "stride4",
    }
    return HDCSettings(**{**base, **changes})


def network_of(seed=1, **changes):
    torch.manual_seed(seed)
    return build_model("hdc_hrnet", settings_of(**changes))


VARIANTS = [
    *({"stages": stages(block, 1, 2, 1)} for block in BLOCKS),
    {"stages": stages("dcn", 2, 1, 1), "version": 3},
    {"norm": "batch", "stem": "full"},
    {"deep_weights": DEEP, "points": POINTS},
    {"points": replace(POINTS, mode="repo")},
    {"shearlet": True},
    {"channels": 1, "classes": 2},
    {"channels": 4, "width": 6},
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_sizes_channels_and_parameters_are_those_of_the_shape(changes):
    network = network_of(**changes)
    of = network.settings
    assert sum(one.numel() for one in network.parameters()) == of.shape.parameter_count
    patch = torch.rand(2, of.channels, 64, 64)
    for mode in (True, False):
        (logits,) = network.train(mode).forward([patch])
        assert logits.shape == (2, of.classes, 64, 64)


@pytest.mark.parametrize("changes", VARIANTS)
def test_a_gradient_reaches_every_parameter(changes):
    network = network_of(**changes).train()
    found = network.outputs([torch.rand(2, network.settings.channels, 64, 64)])
    parts = [*found.logits, *(logits for _, logits in found.deep)]
    parts += [found.points.logits] if found.points else []
    sum(one.square().sum() for one in parts).backward()
    missing = [name for name, one in network.named_parameters() if one.grad is None]
    assert not missing


@pytest.mark.parametrize(("block", "millions"), [("dcn", (8.35, 17.5, 30.0)), ("basic", (12.9, 28.6, 50.3))])
def test_parameters_are_those_of_the_descriptions_code(block, millions):
    found = [
        settings_of(
            width=width, classes=4, stages=stages(block, *STAGE_BLOCKS), deep_weights=DEEP
        ).shape.parameter_count
        for width in WIDTHS.values()
    ]
    assert [one / 1e6 for one in found] == pytest.approx(millions, rel=5e-3)


def test_streams_have_the_sizes_and_channels_of_the_description():
    shape = HDCSettings(spacings=(0.5,), classes=4, patch_size=256, width=64).shape
    assert [shape.stream_size(stream) for stream in range(4)] == [64, 32, 16, 8]
    assert shape.joined_width == 960
    assert [one.dilations for one in shape.settings.stages] == [(1, 2), (1, 2, 4, 8), (1, 2, 4, 8, 16, 32)]
    capped = replace(shape.settings, cap_dilations=True).shape
    assert capped.dilations(2, 3) == (1, 2, 3, 3, 3, 3)  # of 8 px
    assert capped.dilations(2, 0) == (1, 2, 4, 8, 16, 31)  # of 64 px
    full = replace(shape.settings, stem="full", patch_size=64).shape
    assert [full.stream_size(stream) for stream in range(4)] == [64, 32, 16, 8]
    assert (shape.unit, full.unit) == (32, 8)


def test_weights_that_are_no_numbers_give_logits_that_are_none():
    """A training that has diverged is told by its loss, not by an index out of range."""
    network = network_of(patch_size=224, width=8, stages=stages("dcn", 1, 1, 1))
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
        (logits,) = network([torch.rand(1, 3, 224, 224)])
    assert logits.isnan().all()


def test_weight_decay_is_of_all_convolutions():
    kernels = list(network_of().regularised_kernels())
    assert len(kernels) > 20
    assert all(one.ndim == 4 for one in kernels)


def test_the_deep_heads_and_points_are_for_training():
    network = network_of(deep_weights=DEEP, points=POINTS).train()
    patch = torch.rand(2, 3, 64, 64)
    found = network.outputs([patch])
    assert [weight for weight, _ in found.deep] == list(DEEP)
    assert {logits.shape for _, logits in found.deep} == {(2, 3, 64, 64)}
    assert found.points.places.shape == (2, 32, 2)
    assert found.points.logits.shape == (2, 3, 32)
    network.eval()
    assert network.outputs([patch]).points is None
    assert torch.equal(network.outputs([patch]).logits[0], network.target_logits([patch]))


def test_moved_by_a_unit_everything_moves_by_it():
    """No px is half a px aside: with batch norm and local blocks the network does not see where it is."""
    network = network_of(norm="batch", stem="full", width=3).eval()
    image = torch.rand(1, 3, 192, 192)
    with torch.no_grad():
        (here,) = network([image[..., :184, :184]])
        (there,) = network([image[..., 8:, 8:]])
    margin = 80
    one = here[..., 8:, 8:][..., margin : 176 - margin, margin : 176 - margin]
    other = there[..., :176, :176][..., margin : 176 - margin, margin : 176 - margin]
    assert float(here.std()) > 1e-3
    assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patch_size": 100}, "a 100 px patch is no multiple of 32 px from 64 px on.*use 96 px"),
        ({"patch_size": 32}, "use 64 px"),
        (
            {"stem": "full", "patch_size": 20},
            "no multiple of 8 px from 16 px on, as the streams of a full stem want; use 16 px",
        ),
        ({"spacings": (0.5, 1.0)}, "with 2 spacings; give one"),
        ({"width": 0}, "a width of 1 or more"),
        ({"stages": stages("basic", 1, 1)}, "2 stages of width 4; give 3"),
        ({"deep_weights": (0.4,)}, "1 weights of deep supervision; give 4 or none"),
        ({"points": POINTS, "shearlet": True}, "use one of them"),
        ({"classes": 0}, "0 classes and 3 channels"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, told):
    with pytest.raises(ShapeError, match=told):
        settings_of(**changes)


def test_patches_of_other_channels_or_sizes_are_refused():
    network = network_of(channels=4)
    with pytest.raises(ShapeError, match="give 1 square ones of 4 channels"):
        network([torch.rand(1, 3, 64, 64)])
    with pytest.raises(ShapeError, match="no multiple of 32"):
        network([torch.rand(1, 4, 40, 40)])


def test_a_tile_is_a_patch_less_a_rim():
    shape = HDCSettings(spacings=(0.5,), classes=4, patch_size=256).shape
    (tile,) = shape.tiles()
    assert (tile.sizes, tile.stride, shape.rim) == ((256,), 192, 32)
    assert shape.tile(100, 16).stride == 224
    assert not shape.is_seamless
    with pytest.raises(
        ShapeError, match="a rim of 128 px leaves nothing of a 256 px tile; use 127 px at most"
    ):
        next(shape.tiles(128))
