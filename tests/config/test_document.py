from pathlib import Path

import pytest
from pydantic import Field

from hooknet.config.document import Settings, build, nearest, read_document
from hooknet.errors import ConfigError


class Leaf(Settings):
    number: int = 1
    share: float = 0.5
    flag: bool = False
    word: str = "w"


class Tree(Settings):
    one: Leaf = Leaf()
    named: dict[str, Leaf] = Field(default_factory=dict)
    listed: tuple[Leaf, ...] = ()
    maybe: Leaf | None = None
    numbers: tuple[int, ...] = ()


def complaint(text_or_section, tmp_path, key="k"):
    path = Path("f.yaml")
    with pytest.raises(ConfigError) as caught:
        build(Tree, text_or_section, path, key)
    return str(caught.value)


def document_complaint(tmp_path, content):
    path = tmp_path / "f.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_document_is_read_with_a_byte_order_mark_and_anchors(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text("\ufeffa: &x {b: 1}\nc: {<<: *x, d: 2}\n", encoding="utf-8")
    assert read_document(path) == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}


def test_missing_document_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / "f.yaml")
    assert str(caught.value) == f"{tmp_path}/f.yaml: there is no such file; name an existing YAML file"


def test_folder_instead_of_document_is_one_line(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path)
    assert (
        str(caught.value)
        == f"{tmp_path}: cannot be read as UTF-8 text ([Errno 21] Is a directory: '{tmp_path}')"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' stands twice; keep one of the two"),
        ("a:\n  b: 1\n  b: 1\n", "line 3: key 'b' stands twice; keep one of the two"),
        ("", "found nothing, wanted a mapping of keys to settings"),
        ("# only words\n", "found nothing, wanted a mapping of keys to settings"),
        ("- a\n- b\n", "found ['a', 'b'], wanted a mapping of keys to settings"),
        ("hello\n", "found 'hello', wanted a mapping of keys to settings"),
        ("a: [1, 2\n", "line 2: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a:\n\tb: 1\n", "line 2: not YAML: found a tab, wanted spaces to indent"),
        ("a: b: c\n", "line 1: not YAML: mapping values are not allowed here"),
        ("a: !!python/object/apply:os.getcwd []\n",
         "line 1: not YAML: could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/object/apply:os.getcwd'"),
        (b"a: \xff\n", "cannot be read as UTF-8 text ('utf-8' codec can't decode byte 0xff in position 3: "
         "invalid start byte)"),
        ("? [a, b]\n: 1\n", "line 1: found key ['a', 'b'], wanted text: put it in quotes"),
        ("1: 2\n", "line 1: found key 1, wanted text: put it in quotes"),
        ("a: {true: 2}\n", "line 1: found key True, wanted text: put it in quotes"),
    ],
)  # fmt: skip
def test_bad_documents_are_one_exact_line(tmp_path, content, message):
    assert document_complaint(tmp_path, content) == message


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"on": {}},
            "f.yaml: k.on: unknown key; did you mean 'one'? possible: one, named, listed, maybe, numbers",
        ),
        ({"zzz": 1}, "f.yaml: k.zzz: unknown key; possible: one, named, listed, maybe, numbers"),
        (
            {"one": {"nmber": 1}},
            "f.yaml: k.one.nmber: unknown key; did you mean 'number'? possible: number, share, flag, word",
        ),
        (
            {"maybe": {"nmber": 1}},
            "f.yaml: k.maybe.nmber: unknown key; did you mean 'number'? possible: number, share, flag, word",
        ),
        (
            {"listed": [{}, {"wrd": 1}]},
            "f.yaml: k.listed.1.wrd: unknown key; did you mean 'word'? possible: number, share, flag, word",
        ),
        # A name that is also a key of the section must not lead astray.
        (
            {"named": {"one": {"wrd": 1}}},
            "f.yaml: k.named.one.wrd: unknown key; did you mean 'word'? possible: number, share, flag, word",
        ),
        ({"one": 3}, "f.yaml: k.one: found 3, wanted a mapping of keys to settings"),
        ({"one": None}, "f.yaml: k.one: found nothing, wanted a mapping of keys to settings"),
        ({"named": [1]}, "f.yaml: k.named: found [1], wanted a mapping of keys to settings"),
        ({"numbers": 3}, "f.yaml: k.numbers: found 3, wanted a list"),
        ({"one": {"number": "x"}}, "f.yaml: k.one.number: found 'x', wanted a whole number"),
        ({"one": {"number": 1.5}}, "f.yaml: k.one.number: found 1.5, wanted a whole number"),
        ({"one": {"share": "x"}}, "f.yaml: k.one.share: found 'x', wanted a number"),
        (
            {"one": {"word": 7}},
            "f.yaml: k.one.word: found 7, wanted text (in quotes where it looks like a number)",
        ),
        ({"one": {"flag": "perhaps"}}, "f.yaml: k.one.flag: found 'perhaps', wanted true or false"),
        # YAML reads yes as true, and Python true as 1.
        (
            {"one": {"number": True}},
            "f.yaml: k.one.number: found True, wanted a value that is not true or false (yes, no, on, off)",
        ),
        (
            {"one": {"share": False}},
            "f.yaml: k.one.share: found False, wanted a value that is not true or false (yes, no, on, off)",
        ),
        (
            {"numbers": [1, True]},
            "f.yaml: k.numbers: found [1, True], wanted a value that is not true or false (yes, no, on, off)",
        ),
        (
            {"one": {"number": "x", "share": "y"}},
            "f.yaml: k.one.number: found 'x', wanted a whole number (and 1 more)",
        ),
        (7, "f.yaml: k: found 7, wanted a mapping of keys to settings"),
    ],
)
def test_bad_sections_are_one_exact_line(tmp_path, section, message):
    assert complaint(section, tmp_path) == message


def test_long_values_are_cut(tmp_path):
    message = complaint({"one": {"number": "x" * 500}}, tmp_path)
    assert message == f"f.yaml: k.one.number: found '{'x' * 58}…, wanted a whole number"


def test_numbers_may_be_written_without_a_point_or_as_text_of_a_sheet():
    # YAML 1.1 takes 5e-6 for a text.
    assert build(Tree, {"one": {"share": "5e-6", "number": "12"}}, Path("f"), "").one == Leaf(
        share=5e-6, number=12
    )


def test_no_key_means_the_file_itself(tmp_path):
    assert complaint(7, tmp_path, key="") == "f.yaml: found 7, wanted a mapping of keys to settings"


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Leaf().number = 2


def test_nearest_lists_what_is_possible():
    assert nearest("stoma", ["gland", "stroma"]) == "did you mean 'stroma'? possible: gland, stroma"
    assert nearest("xyz", ["gland"]) == "possible: gland"
    assert nearest("xyz", []) == "possible: none"


def test_own_key_goes_before_a_merged_one(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text("a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}\n")
    assert read_document(path)["d"] == {"b": 3, "c": 2}


def test_long_lists_of_names_are_cut():
    possible = [f"s{number:03d}" for number in range(86)]
    assert nearest("zzz", possible) == f"possible: {', '.join(possible[:20])}, ... (66 more)"
