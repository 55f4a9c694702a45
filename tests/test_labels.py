import dataclasses

import pytest

from hooknet.labels import LabelClass, LabelMap

TUMOUR = LabelClass("tumour", 1, "#ff0080", ("tumour", "in situ"), 0)
STROMA = LabelClass("stroma", 2, "#00ff01", ("stroma",), 1)
MAP = LabelMap(
    (TUMOUR, STROMA),
    hole_groups=("negative",),
    ignore_groups=("notes",),
    region_groups=("roi",),
    region_default=2,
)


def test_a_class_is_found_by_any_of_its_groups():
    assert MAP.class_of("in situ") is TUMOUR
    assert MAP.class_of("stroma") is STROMA


def test_holes_regions_and_strangers_are_no_class():
    assert [MAP.class_of(group) for group in ("negative", "roi", "notes", "Tumour", "")] == [None] * 5


def test_a_map_knows_classes_holes_regions_and_what_to_ignore_but_no_other_group():
    assert all(MAP.knows(group) for group in ("tumour", "in situ", "stroma", "negative", "notes", "roi"))
    assert not MAP.knows("Stroma")
    assert MAP.groups == ("tumour", "in situ", "stroma", "negative", "notes", "roi")


def test_names_and_number_go_by_value_and_leave_0_out():
    assert MAP.names == ("tumour", "stroma")
    assert len(MAP) == 2


def test_colours_are_read_byte_by_byte():
    assert MAP.palette() == {1: (255, 0, 128), 2: (0, 255, 1)}


def test_a_map_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MAP.region_default = 0
