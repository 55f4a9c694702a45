import numpy as np
import pytest

from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.io.probabilities import Probabilities, create_probabilities
from hooknet.io.uncertainty import create_uncertainty, open_uncertainty, read_entropy

GRID = RasterGrid(6, 4, 0.5, 2.0, 2.0)
BANDS = ("entropy", "mutual information")


@pytest.fixture
def written(tmp_path):
    """24 different values of entropy, and other ones of the second band."""
    values = np.arange(48, dtype=np.uint8).reshape(2, 4, 6)
    with create_uncertainty(tmp_path / "u.tif", GRID, BANDS, {"weights": "abc"}) as writer:
        writer.write(0, 0, values)
    return tmp_path / "u.tif", values


def test_what_is_written_is_read_back(written):
    path, values = written
    with open_uncertainty(path) as found:
        assert (found.grid, found.names, found.made["weights"]) == (GRID, BANDS, "abc")
        np.testing.assert_array_equal(found.read_all(), values)


def test_entropy_is_what_lies_under_the_centres_of_another_grid(written):
    path, values = written
    np.testing.assert_array_equal(read_entropy(path, GRID), values[0])
    # Half as fine: the centre of each px is a corner of four, and the one to the right and below counts.
    found = read_entropy(path, RasterGrid(3, 2, 1.0, 4.0, 4.0))
    np.testing.assert_array_equal(found, values[0, 1::2, 1::2])


def test_other_files_are_refused(tmp_path, written):
    with create_probabilities(tmp_path / "p.tif", GRID, ("a", "b")) as writer:
        writer.write(0, 0, np.zeros((2, 4, 6), np.uint8))
    with pytest.raises(MaskError, match="does not say 'hooknet uncertainty 1' with a name per band of uint8"):
        open_uncertainty(tmp_path / "p.tif")
    with pytest.raises(
        MaskError, match="does not say 'hooknet probabilities 1' with a class per band of uint8"
    ):
        Probabilities.open(written[0])
    with pytest.raises(MaskError, match="no such file, wanted uncertainty that infer wrote"):
        open_uncertainty(tmp_path / "none.tif")
    with create_uncertainty(tmp_path / "m.tif", GRID, BANDS[1:]) as writer:
        writer.write(0, 0, np.ones((1, 4, 6), np.uint8))
    with pytest.raises(MaskError, match=r"found bands \['mutual information'\], wanted 'entropy' among them"):
        read_entropy(tmp_path / "m.tif", GRID)
