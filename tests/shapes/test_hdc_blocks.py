import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hooknet.errors import ShapeError
from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.blocks.table import BLOCKS, build_block
from hooknet.shapes.hdc_blocks import (
    aggregation_groups,
    block_parameters,
    block_work,
    largest_divisor,
    mixed_together,
    modes,
)

VARIANTS = [(name, version) for name in BLOCKS for version in ((2, 3) if name == "dcn" else (2,))]
WIDTHS = [16, 24, 48, 6, 1]


@pytest.mark.parametrize(("name", "version"), VARIANTS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_parameters_are_those_of_the_block(name, version, width, norm):
    block = build_block(name, width, BlockOptions(0, norm=norm, version=version))
    counted = sum(one.numel() for one in block.parameters())
    assert block_parameters(name, width, version, norm) == counted


@pytest.mark.parametrize("width", WIDTHS)
def test_parameters_are_those_of_the_description(width):
    c, groups = width, aggregation_groups(width)
    heads, mixed = largest_divisor(c, 8), mixed_together(c)
    assert {name: block_parameters(name, c) for name in BLOCKS} == {
        "basic": 18 * c**2 + 4 * c,
        "convnext": 8 * c**2 + 58 * c,
        "dcn": 9 * c**2 + 246 * c + 27,
        "inverted_residual": 8 * c**2 + 54 * c,
        "swin": 12 * c**2 + 13 * c + 169 * heads,
        "fno": 1024 * c * mixed + 4 * c**2 + 3 * c,
        "wavelet": 36 * c**2 + 2 * c,
        "rwkv": 12 * c**2 + 12 * c,
    }
    assert block_parameters("dcn", c, version=3) == 2 * c**2 + 16 * c + 27 * groups * (c + 1)


@pytest.mark.parametrize(("name", "version"), VARIANTS)
@pytest.mark.parametrize("width", [16, 24, 48, 6])
@pytest.mark.parametrize("size", [7, 16, 33])
def test_work_is_what_torch_counts(name, version, width, size):
    block = build_block(name, width, BlockOptions(0, version=version))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        block(torch.zeros(1, width, size, size))
    counted = counter.get_total_flops() // 2
    if name == "fno":
        # Torch counts a complex product as one.
        up, down, columns = modes(size, size)
        counted += 3 * width * mixed_together(width) * (up + down) * columns
    assert block_work(name, width, size, version) == counted


@pytest.mark.parametrize(
    ("size", "found"),
    [((8, 8), (4, 4, 5)), ((5, 3), (3, 2, 2)), ((1, 1), (1, 0, 1)), ((32, 30), (16, 16, 16)), ((99, 99), (16, 16, 16))],
)  # fmt: skip
def test_modes_are_those_that_a_map_has(size, found):
    assert modes(*size) == found
    assert found[0] + found[1] <= size[0]
    assert found[2] <= size[1] // 2 + 1


@pytest.mark.parametrize(
    ("number", "limit", "found"), [(48, 8, 8), (18, 8, 6), (7, 8, 7), (11, 8, 1), (24, 16, 12)]
)
def test_the_largest_divisor(number, limit, found):
    assert largest_divisor(number, limit) == found


@pytest.mark.parametrize("name", ["mamba", "dcn2"])
def test_an_unknown_block_is_refused(name):
    for count in (lambda: block_parameters(name, 8), lambda: block_work(name, 8, 8)):
        with pytest.raises(
            ShapeError, match=rf"block '{name}'; use one of basic, convnext, dcn, inverted_residual"
        ):
            count()
