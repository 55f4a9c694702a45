"""Every refiner can learn two slides by heart that neither their colour nor their heat map alone tells."""

import pytest
import torch

from hooknet.models.refiners.table import build_refiner
from hooknet.shapes.refiner import RefinerShape
from hooknet.training.dice import soft_dice

SIZE, CELL = 64, 8
FOREGROUND = (2,)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def disc(row, column, radius):
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def two_slides():
    """Images (2, 4, 64, 64), labels (2, 64, 64).

    Each slide has two dark discs, of which the heat map lights the tumour's cells; a fifth is not annotated.
    """
    generator = torch.Generator().manual_seed(0)
    tumours = torch.stack([disc(22, 20, 13), disc(42, 40, 11)])
    dark = tumours | torch.stack([disc(45, 48, 11), disc(16, 18, 13)])
    noise = 0.05 * torch.randn(2, 3, SIZE, SIZE, generator=generator)
    image = 0.9 - 0.4 * dark[:, None].float() + noise
    cells = torch.nn.functional.max_pool2d(tumours[:, None].float(), CELL)
    heat = 0.1 + 0.7 * torch.nn.functional.interpolate(cells, scale_factor=CELL, mode="nearest")
    labels = (1 + tumours).to(torch.uint8)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 0
    return torch.cat([image, heat], dim=1).clamp(0, 1), labels


def dice(predicted, labels):
    """Of class 2, over annotated px; ``predicted`` says where it is."""
    predicted, truth = predicted[labels > 0], labels[labels > 0] == 2
    return float(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))


@pytest.mark.parametrize(
    ("network", "norm"),
    [("unet", "renorm"), ("agunet", "renorm"), ("dagunet", "batch"), ("doubleunet", "renorm")],
)
def test_two_slides_are_learnt_by_heart(network, norm):
    images, labels = two_slides()
    assert dice(images[:, 0] < 0.7, labels) < 0.75
    assert dice(images[:, 3] > 0.5, labels) < 0.85
    torch.manual_seed(0)
    shape = RefinerShape(network, SIZE, 1, 2, norm)
    built = build_refiner(shape)
    for module in built.modules():
        if hasattr(module, "momentum"):
            module.momentum = 0.2  # statistics of the last steps, for there are but 40
    optimiser = torch.optim.Adam(built.parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        soft_dice(built(images), labels, shape, FOREGROUND).backward()
        optimiser.step()
    with torch.no_grad():
        outputs = built.eval()(images)
    assert float(soft_dice(outputs, labels, shape, FOREGROUND)) < 0.1
    assert dice(outputs[0].argmax(dim=1) == 1, labels) > 0.95
