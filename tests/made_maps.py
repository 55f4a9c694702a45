"""Maps in memory: what inference makes of a slide, without files."""

import numpy as np

from hooknet.inference.canvas import Canvas
from hooknet.inference.dense import Canvases, Segmenting, segment
from hooknet.inference.engines import TorchEngine
from hooknet.inference.plan import make_plan
from hooknet.inference.regions import Wanted


def planned(network, slide, at_most, wanted=None, shuffle_context=False, rim=None):
    """What is to be done for tiles of ``at_most`` px."""
    grid = slide.grid(network.patch_spec.target_spacing)
    wanted = wanted or Wanted(None)
    plan = make_plan(network.shape, grid, wanted, lambda tile: True, at_most, rim)
    return Segmenting(slide, network.settings.spacings, wanted, plan, shuffle_context)


def segmented(
    network, slide, at_most, wanted=None, bands=0, shuffle_context=False, rim=None, engine=TorchEngine
):
    """The map of a slide; with ``bands`` also its probabilities."""
    work = planned(network, slide, at_most, wanted, shuffle_context, rim)
    found = np.zeros((1, work.grid.height, work.grid.width), np.uint8)
    shares = np.zeros((bands, work.grid.height, work.grid.width), np.uint8)

    def onto(target):
        def write(column, row, block):
            target[:, row : row + block.shape[1], column : column + block.shape[2]] = block

        return Canvas(work.grid.width, work.grid.height, len(target), write)

    canvases = Canvases(onto(found), onto(shares) if bands else None)
    stages = segment(work, engine(network, work.plan.tile, bands > 0, "fp32"), canvases)
    assert stages.pixels == (found > 0).sum()
    assert stages.tiles == len(work.plan.places)
    return (found[0], shares) if bands else found[0]
