"""Which files make a volume, whose it is, and what its label values are called."""

import made_volumes
import pytest

from hooknet.errors import SlideError
from hooknet.groundtruth.volumes.layouts import LAYOUTS
from hooknet.labels import LabelClass
from hooknet.report.colours import close_colours


def found(layout, folder):
    return LAYOUTS[layout].find(folder)


def names(layout):
    return {one.raw: one.name for one in LAYOUTS[layout].classes}


def test_acdc_takes_the_two_frames_that_the_info_file_names(tmp_path):
    volumes = found("acdc", made_volumes.acdc(tmp_path))
    assert [(one.name, one.patient) for one in volumes[:3]] == [
        ("patient001_ED", "patient001"), ("patient001_ES", "patient001"), ("patient002_ED", "patient002"),
    ]  # fmt: skip
    assert len(volumes) == 6
    assert volumes[1].images[0].name == "patient001_frame07.nii.gz"
    assert volumes[1].labels.name == "patient001_frame07_gt.nii.gz"
    assert volumes[1].frame is None


def test_mnms_takes_two_frames_of_each_file(tmp_path):
    volumes = found("mnms", made_volumes.mnms(tmp_path))
    assert [(one.name, one.patient, one.frame) for one in volumes[:3]] == [
        ("A0B0C_ED", "A0B0C", 0), ("A0B0C_ES", "A0B0C", 2), ("A1B1C_ED", "A1B1C", 0),
    ]  # fmt: skip
    assert volumes[0].images[0].name == "A0B0C_sa.nii.gz"
    assert volumes[0].labels.name == "A0B0C_sa_gt.nii.gz"


def test_brats_stacks_four_sequences_in_their_order(tmp_path):
    volumes = found("brats", made_volumes.brats(tmp_path))
    assert [one.patient for one in volumes] == [f"BraTS2021_0000{number}" for number in range(3)]
    assert [path.name.split("_")[-1] for path in volumes[0].images] == [
        "t1.nii.gz", "t1ce.nii.gz", "t2.nii.gz", "flair.nii.gz",
    ]  # fmt: skip
    assert LAYOUTS["brats"].bands == ("t1", "t1ce", "t2", "flair")


def test_synapse_pairs_images_and_labels_by_number(tmp_path):
    volumes = found("synapse", made_volumes.synapse(tmp_path))
    assert [(one.name, one.images[0].name, one.labels.name) for one in volumes][1] == (
        "case0002", "img0002.nii.gz", "label0002.nii.gz",
    )  # fmt: skip
    assert len(volumes) == 3


def test_a_label_without_its_image_is_found_too(tmp_path):
    made_volumes.synapse(tmp_path)
    (tmp_path / "img" / "img0002.nii.gz").unlink()
    assert [one.name for one in found("synapse", tmp_path)] == ["case0001", "case0002", "case0003"]


def test_files_that_are_not_packed_do_too(tmp_path):
    marked = made_volumes.labels((6, 7))
    made_volumes.write(tmp_path / "img" / "img0009.nii", marked)
    made_volumes.write(tmp_path / "label" / "label0009.nii", marked)
    (tmp_path / "img" / "._img0009.nii").write_bytes(b"left by another system")
    (volume,) = found("synapse", tmp_path)
    assert (volume.images[0].suffix, volume.labels.suffix) == (".nii", ".nii")


def test_the_two_cohorts_of_hearts_number_their_classes_differently_and_get_the_same_masks():
    assert names("acdc") == {0: "background", 1: "rv", 2: "myo", 3: "lv"}
    assert names("mnms") == {0: "background", 1: "lv", 2: "myo", 3: "rv"}
    orders = [[one.name for one in LAYOUTS[layout].classes] for layout in ("acdc", "mnms")]
    assert orders[0] == orders[1] == ["background", "rv", "myo", "lv"]


def test_labels_of_tumours_leave_three_out_and_organs_are_thirteen():
    assert names("brats") == {0: "background", 1: "necrotic_core", 2: "oedema", 4: "enhancing_tumour"}
    organs = names("synapse")
    assert sorted(organs) == list(range(14))
    assert (organs[1], organs[6], organs[13]) == ("spleen", "liver", "left_adrenal_gland")


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_colours_tell_classes_apart(layout):
    classes = LAYOUTS[layout].classes
    assert close_colours([LabelClass(one.name, one.raw + 1, one.colour, (), 0, ()) for one in classes]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"Info\.cfg: found no such file, which says the frames ED and ES; add it"),
        ("ED: 1\nNbFrame: 3\n", r"Info\.cfg: found no line such as 'ES: 1', wanted the number of that frame"),
        ("ED: first\nES: 7\n", r"found no line such as 'ED: 1'"),
    ],
)
def test_acdc_without_the_numbers_of_its_frames_is_refused(tmp_path, text, message):
    made_volumes.acdc(tmp_path, 1)
    info = tmp_path / "training" / "patient001" / "Info.cfg"
    info.unlink() if text is None else info.write_text(text)
    with pytest.raises(SlideError, match=message):
        found("acdc", tmp_path)


def test_mnms_without_its_table_or_a_row_or_a_number_is_refused(tmp_path):
    folder = made_volumes.mnms(tmp_path)
    table = tmp_path / "211230_information.csv"
    text = table.read_text()
    table.write_text(text.replace("1,A1B1C,A,1,0,2\n", ""))
    with pytest.raises(
        SlideError, match=r"A1B1C_sa\.nii\.gz: the CSV file of the cohort has no row for 'A1B1C'"
    ):
        found("mnms", folder)
    table.write_text(text.replace("A1B1C,A,1,0,2", "A1B1C,A,1,0,"))
    with pytest.raises(
        SlideError, match=r"csv: row 'A1B1C' has ED '0' and ES '', wanted the numbers of the frames"
    ):
        found("mnms", folder)
    table.unlink()
    with pytest.raises(SlideError, match="found no CSV file with the columns 'External code', 'ED' and 'ES'"):
        found("mnms", folder)
