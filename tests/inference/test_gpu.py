"""On a GPU, where there is one: the same maps as on a processor, within the memory that is counted with."""

import copy

import made_networks
import made_slides
import numpy as np
import pytest
import torch
from made_maps import segmented

from hooknet.config.dense import InferOptions
from hooknet.inference import choice
from hooknet.inference.agreement import agreement, compared
from hooknet.inference.choice import Job, choose
from hooknet.inference.engines import TorchEngine
from hooknet.inference.memory import OutOfMemory, network_budget, noticing_out_of_memory
from hooknet.io.slides import Slide
from hooknet.models.gpus import has_bf16
from hooknet.shapes.memory import tile_bytes

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
since_ampere = pytest.mark.usefixtures("ampere")


@pytest.fixture
def ampere():
    # Not when tests are collected: a process that has started CUDA cannot be forked any more.
    if not has_bf16():
        pytest.skip("needs a GPU that computes in bf16 and tf32")


def smooth_views(tile):
    """Views of a tile as blurred as tissue is."""
    rng = np.random.default_rng(3)
    return [
        np.kron(rng.integers(0, 256, (size // 8 + 1, size // 8 + 1, 3)), np.ones((8, 8, 1)))[
            :size, :size
        ].astype(np.uint8)
        for size in tile.sizes
    ]


@pytest.mark.parametrize(("spacings", "depth", "patch", "more"), made_networks.KINDS)
def test_a_gpu_maps_a_slide_as_a_processor_does(noise_slide, spacings, depth, patch, more):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = made_networks.random_network(spacings, depth, patch, **more)
    labels, shares = segmented(network, slide, patch + 96, bands=3)
    found, bytes_ = segmented(copy.deepcopy(network).cuda(), slide, patch + 96, bands=3)
    assert np.abs(shares.astype(int) - bytes_).max() <= 1
    assert (labels != found).mean() < 1e-4


@since_ampere
@pytest.mark.parametrize(
    ("precision", "least", "most"), [("fp32", 0, 1e-5), ("tf32", 1e-6, 2e-2), ("bf16", 1e-5, 0.2)]
)
def test_each_precision_is_what_it_says(precision, least, most):
    network = made_networks.random_network((0.5, 4.0), 3, 78, filters=16)
    tile = network.shape.tile(300)
    views = smooth_views(tile)
    before = torch.backends.cudnn.allow_tf32
    found = TorchEngine(copy.deepcopy(network).cuda(), tile, False, precision).start(views, logits=True)()
    both = compared(network, tile, found, views)  # with torch in fp32 on the processor
    assert least <= both.difference < most
    assert torch.backends.cudnn.allow_tf32 == before


@since_ampere
def test_the_fastest_precision_that_agrees_is_taken():
    network = made_networks.random_network((0.5, 4.0), 3, 78, filters=16).cuda()
    job = Job(network.shape.tile(300), 10, 1, False)
    views = smooth_views(job.tile)
    found = list(choice.candidates(network, job, InferOptions()))
    assert [(one.name, one.precision) for one in found] == [
        ("torch", one) for one in ("bf16", "tf32", "fp32")
    ]
    agreeing = [
        one.precision for one in found if agreement(network, one.make(), views).suffices(one.precision)
    ]
    engine = choose(network, job, InferOptions(), views)
    assert (engine.name, engine.precision) == ("torch on cuda", agreeing[0])


@pytest.mark.parametrize(
    ("spacings", "patch", "pixels", "more"),
    [
        ((0.5, 8.0), 284, 1244, {"filters": 16}),
        ((0.5, 8.0), 284, 2268, {"filters": 16}),
        ((0.5, 8.0), 284, 1244, {"filters": 64}),
        ((0.5,), 284, 2268, {"filters": 32}),
        ((0.5, 8.0), 284, 2000, {"filters": 16, "model": "mrn"}),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@since_ampere
def test_a_tile_takes_no_more_memory_than_is_counted_with(spacings, patch, pixels, more, precision):
    network = made_networks.random_network(spacings, 4, patch, convolutions=2, **more)
    network = network.to("cuda", memory_format=torch.channels_last)
    tile = network.shape.tile(pixels)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    engine, views = TorchEngine(network, tile, True, precision), smooth_views(tile)
    first = engine.start(views)
    second = engine.start(views)  # the next tile is begun before the last is fetched
    first(), second()
    assert torch.cuda.max_memory_reserved() - before <= tile_bytes(network.shape, tile)


def test_memory_that_a_gpu_has_not_is_noticed():
    free, whole = torch.cuda.mem_get_info()
    assert network_budget(torch.device("cuda"), None) == pytest.approx(0.85 * free, rel=0.05)
    with pytest.raises(OutOfMemory), noticing_out_of_memory():
        torch.empty(2 * whole, dtype=torch.uint8, device="cuda")
    torch.ones(8, device="cuda").sum().item()  # it computes on
