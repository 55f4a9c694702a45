import pytest

from hooknet.errors import AnnotationError
from hooknet.io.annotations import read_annotations

XML = (
    '<Annotations><Annotation Name="A" Type="Polygon" PartOfGroup="t"><Coordinates><Coordinate Order="0" X="1" Y="2"/>'
    '<Coordinate Order="1" X="5" Y="2"/><Coordinate Order="2" X="3" Y="7"/></Coordinates></Annotation></Annotations>'
)
JSON = (
    '{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[1, 2], [5, 2], [3, 7], [1, 2]]]}, '
    '"properties": {"name": "A", "classification": {"name": "t"}}}'
)


@pytest.mark.parametrize("name", ["a.xml", "a.XML", "a.geojson", "a.json"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_both_formats_give_the_same_shape_whatever_the_suffix(tmp_path, name, encoding):
    for text in (XML, JSON):
        (tmp_path / name).write_text("\n" + text, encoding=encoding)
        (shape,) = read_annotations(tmp_path / name)
        assert (shape.name, shape.kind, shape.groups, shape.holes, shape.index) == (
            "A",
            "polygon",
            ("t",),
            (),
            0,
        )
        assert shape.points == ((1.0, 2.0), (5.0, 2.0), (3.0, 7.0))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", XML, "found suffix '.txt', wanted one of .xml, .geojson, .json"),
        ("a.xml", "hello", "starts with 'h', wanted ASAP XML"),
        ("a.json", "", "the file is empty"),
        ("a.json", None, "no such file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, problem):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(AnnotationError) as error:
        read_annotations(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: {problem}")
