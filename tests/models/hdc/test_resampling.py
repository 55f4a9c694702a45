import pytest
import torch

from hooknet.models.hdc.resampling import centred, upsampled


def test_px_stand_where_they_were_and_between_them_is_linear():
    x = torch.tensor([[[[0.0, 4.0, 2.0]]]])
    assert upsampled(x, 2).tolist() == [[[[0.0, 2.0, 4.0, 3.0, 2.0, 2.0]] * 2]]
    assert upsampled(x, 1) is x


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_plane_stays_a_plane(factor):
    y, x = torch.meshgrid(*[torch.arange(7, dtype=torch.float64)] * 2, indexing="ij")
    found = upsampled((2 * x + 3 * y)[None, None], factor)[0, 0]
    rows, columns = torch.meshgrid(*[torch.arange(7 * factor, dtype=torch.float64)] * 2, indexing="ij")
    inside = slice(0, 6 * factor + 1)
    wanted = (2 * columns + 3 * rows) / factor
    assert torch.allclose(found[inside, inside], wanted[inside, inside], atol=1e-12)


@pytest.mark.parametrize(("stride", "moved"), [(1, 0.0), (2, 0.25), (4, 0.375), (8, 0.4375)])
def test_centring_moves_to_the_middle_of_a_strides_px(stride, moved):
    # Px k stands on input px stride k, whose middle is at stride k + 0.5; that of its strides px at stride (k + 0.5).
    assert (stride / 2 - 0.5) / stride == moved
    y, x = torch.meshgrid(*[torch.arange(5, dtype=torch.float64)] * 2, indexing="ij")
    found = centred((x + 10 * y)[None, None], stride)[0, 0]
    assert torch.allclose(found[:4, :4], (x + 10 * y + 11 * moved)[:4, :4], atol=1e-12)
    assert found[4, 4] == 44  # beyond the last px its value goes on
    assert centred(torch.ones(1, 1, 1, 1), stride).item() == 1


def test_a_strided_convolutions_map_comes_back_where_it_was():
    """A tap in the middle picks every fourth px; upsampled they are where they were picked."""
    image = torch.rand(1, 1, 32, 32, dtype=torch.float64)
    kernel = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    kernel[..., 1, 1] = 1
    coarse = image
    for _ in range(2):
        coarse = torch.nn.functional.conv2d(coarse, kernel, stride=2, padding=1)
    assert torch.equal(upsampled(coarse, 4)[..., ::4, ::4], image[..., ::4, ::4])
