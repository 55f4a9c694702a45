import numpy as np
import pytest
import torch
from scipy import ndimage

from hooknet.data.augment import spatial
from hooknet.data.augment.numbers import ELASTIC_LIMIT, field_layout, label_margin

SPACINGS = (0.5, 2.0)
SIZE = 64
LAYOUT = field_layout(SIZE * 2.0, 40.0)


def where(size, spacing):
    """(1, 2, size, size): how many µm right of and below the centre each pixel centre lies."""
    axis = (torch.arange(size) + 0.5 - size / 2) * spacing
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([columns, rows])[None]


def field_of(seed, strength=4.0):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((1, 2, LAYOUT.nodes, LAYOUT.nodes), generator=generator)
    return drawn.clamp(-ELASTIC_LIMIT, ELASTIC_LIMIT) * strength


def test_the_displacement_is_the_nodes_interpolated_linearly_in_micrometres():
    field = field_of(0)
    for spacing in SPACINGS:
        moved = spatial.displacement(field, LAYOUT.extent_um, SIZE, spacing)
        at = where(SIZE, spacing)[0].numpy()
        apart = LAYOUT.extent_um / (LAYOUT.nodes - 1)
        places = (at + LAYOUT.extent_um / 2) / apart  # node indices, x then y
        for axis in (0, 1):
            wanted = ndimage.map_coordinates(field[0, axis].numpy(), [places[1], places[0]], order=1)
            np.testing.assert_allclose(moved[0, axis] * spacing, wanted, atol=1e-4)


def test_every_view_moves_the_same_tissue_by_the_same_micrometres():
    # Views at twice the spacing: a coarse px centre is the corner of four fine px, whose displacements average.
    field = field_of(1)
    fine = spatial.displacement(field, LAYOUT.extent_um, SIZE, 1.0)
    coarse = spatial.displacement(field, LAYOUT.extent_um, SIZE, 2.0) * 2.0
    mean = torch.nn.functional.avg_pool2d(fine, 2)
    quarter = SIZE // 4
    middle = coarse[..., quarter:-quarter, quarter:-quarter]
    # Linear between nodes; a cell that holds a node bends a little.
    torch.testing.assert_close(middle, mean, atol=0.15, rtol=0)
    assert middle.abs().mean() > 1


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_warped_image_shows_what_lies_at_the_displaced_place(spacing):
    at = where(SIZE, spacing)
    moved = spatial.displacement(field_of(2, 2.0), LAYOUT.extent_um, SIZE, spacing)
    warped = spatial.warp_images(at, moved)
    wanted = at + moved * spacing
    reach = SIZE * spacing / 2 - spacing / 2
    inside = (wanted.abs() < reach).all(dim=1, keepdim=True).expand_as(wanted)
    assert inside.float().mean() > 0.7
    torch.testing.assert_close(warped[inside], wanted[inside], atol=1e-3 * spacing, rtol=0)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_labels_move_with_their_image(spacing):
    # The label is the column (or row) number that the image encodes: nearest against linear, half a px apart.
    size = SIZE
    numbers = torch.arange(size).repeat(size, 1)
    moved = spatial.displacement(field_of(3, 3.0), LAYOUT.extent_um, size, spacing)
    for axis, coded in ((0, numbers), (1, numbers.T.contiguous())):
        image = spatial.warp_images(coded[None, None].float(), moved)[0, 0]
        label = spatial.warp_labels((coded[None] + 1).to(torch.uint8), moved)[0]
        places = (
            torch.arange(size)[None if axis == 0 else slice(None), :]
            if axis == 0
            else torch.arange(size)[:, None]
        )
        inside = label > 0
        place = places + moved[0, axis]
        interior = inside & (place > 0) & (place < size - 1)
        assert interior.float().mean() > 0.5
        off = (label[interior].float() - 1 - image[interior]).abs()
        assert off.max() <= 0.501
        assert (label[interior].float() - 1 - image[interior]).mean().abs() < 0.03


def test_labels_from_outside_are_not_annotated():
    labels = torch.full((1, 4, 4), 2, dtype=torch.uint8)
    moved = torch.zeros(1, 2, 4, 4)
    moved[:, 0] = 2.0
    assert spatial.warp_labels(labels, moved)[0].tolist() == [[2, 2, 0, 0]] * 4
    moved = torch.zeros(1, 2, 4, 4)
    moved[:, 1] = -1.0
    assert spatial.warp_labels(labels, moved)[0].tolist() == [[0] * 4, [2] * 4, [2] * 4, [2] * 4]


def test_images_repeat_their_edge():
    image = torch.arange(4.0).repeat(4, 1)[None, None]
    moved = torch.zeros(1, 2, 4, 4)
    moved[:, 0] = 2.0
    assert spatial.warp_images(image, moved)[0, 0, 0].tolist() == pytest.approx([2, 3, 3, 3])


def test_no_displacement_changes_nothing():
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(
        spatial.warp_images(images, torch.zeros(2, 2, 16, 16)), images, atol=1e-5, rtol=0
    )
    labels = torch.randint(0, 3, (2, 16, 16), dtype=torch.uint8)
    assert torch.equal(spatial.warp_labels(labels, torch.zeros(2, 2, 16, 16)), labels)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_no_scored_label_comes_from_beyond_the_margin(spacing):
    strength, scored = 3.0, 12
    margin = label_margin(strength, spacing)
    labels = torch.ones((20, scored + 2 * margin, scored + 2 * margin), dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    field = torch.randn((20, 2, LAYOUT.nodes, LAYOUT.nodes), generator=generator) * 100
    field = field.clamp(-ELASTIC_LIMIT, ELASTIC_LIMIT) * strength  # the worst: every node at the limit
    moved = spatial.displacement(field, LAYOUT.extent_um, labels.shape[-1], spacing)
    warped = spatial.warp_labels(labels, moved)
    assert (warped[:, margin : margin + scored, margin : margin + scored] == 1).all()


def test_the_eight_symmetries_are_those_of_the_square():
    square = torch.tensor([[0, 1], [2, 3]])
    turned = spatial.turn(square.repeat(8, 1, 1), torch.arange(8))
    found = {tuple(one.flatten().tolist()) for one in turned}
    group = set()
    for flipped in (square.numpy(), square.numpy()[:, ::-1]):
        group |= {tuple(np.rot90(flipped, times).ravel().tolist()) for times in range(4)}
    assert len(found) == 8
    assert found == group
    assert torch.equal(turned[0], square)


def test_symmetries_are_mirror_images_and_then_quarter_turns():
    maps = torch.rand((8, 2, 5, 5), generator=torch.Generator().manual_seed(0))
    for number, found in enumerate(spatial.turn(maps, torch.arange(8))):
        seen = maps[number].numpy()[..., ::-1] if number >= 4 else maps[number].numpy()
        np.testing.assert_array_equal(found, np.rot90(seen, number % 4, (-2, -1)))


def test_turning_moves_views_of_any_rank_and_labels_alike():
    labels = torch.randint(0, 9, (8, 6, 6))
    views = labels[:, None, None].expand(8, 2, 3, 6, 6)
    symmetry = torch.tensor([3, 1, 7, 0, 5, 2, 6, 4])
    turned = spatial.turn(views, symmetry)
    for branch in range(2):
        for channel in range(3):
            assert torch.equal(turned[:, branch, channel], spatial.turn(labels, symmetry))


def test_a_turn_keeps_the_centre_for_patches_of_any_size():
    # The centre's four px of an even patch stay the centre's four px.
    small, large = torch.zeros(8, 4, 4), torch.zeros(8, 10, 10)
    small[:, 1:3, 1:3] = large[:, 4:6, 4:6] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    symmetry = torch.arange(8)
    assert torch.equal(spatial.turn(small, symmetry)[:, 1:3, 1:3], spatial.turn(large, symmetry)[:, 4:6, 4:6])
