import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.config.datasets import SlideSettings
from hooknet.config.parts import Part, in_part
from hooknet.errors import ConfigError


def slides(*patients):
    return [
        SlideSettings(id=f"s{number}", slide="s.tif", patient=name) for number, name in enumerate(patients)
    ]


@given(st.lists(st.sampled_from("abcdefghij"), min_size=10, max_size=40), st.integers(2, 4))
def test_every_slide_is_in_one_part_and_all_of_a_patient_in_the_same(patients, count):
    if len(set(patients)) < count:
        return
    cohort = slides(*patients)
    parts = [in_part(cohort, Part(number, count)) for number in range(count)]
    assert sorted(one for part in parts for one in part) == sorted(one.id for one in cohort)
    for part in parts:
        assert part
        inside = {one.patient_id for one in cohort if one.id in part}
        assert {one.id for one in cohort if one.patient_id in inside} == part


def test_parts_of_patients_with_one_slide_differ_by_one_slide_at_most():
    cohort = slides(*(f"p{number}" for number in range(11)))
    sizes = sorted(len(in_part(cohort, Part(number, 4))) for number in range(4))
    assert sizes == [2, 3, 3, 3]


def test_the_order_of_the_sheet_changes_nothing():
    cohort = slides(*(f"p{number % 7}" for number in range(20)))
    assert in_part(cohort, Part(1, 3)) == in_part(cohort[::-1], Part(1, 3))


def test_fewer_patients_than_parts_is_told():
    with pytest.raises(ConfigError, match="2 patients train, wanted one at least for each of 3 parts; lower"):
        in_part(slides("a", "b", "a"), Part(0, 3))


def test_a_part_is_called_by_its_number_and_how_many_there_are():
    assert str(Part(0, 5)) == "part0of5"
