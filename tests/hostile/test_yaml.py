"""Configuration that is no YAML, a bomb, or names what must not become a path."""

import re
from functools import partial
from pathlib import Path

import pytest
import yaml
from hostile_cases import Case, of_slide_c, refused
from made_cohort import hooknet, step

CHECK = ["check", "--no-files", "--datasets", "datasets.yaml", "--experiments", "experiments.yaml"]
STEP = step("check-slide")
NAME = "wanted letters, digits, '_', '.' or '-', the first a letter or a digit"


def text(content, encoding="utf-8"):
    Path("datasets.yaml").write_bytes(content if isinstance(content, bytes) else content.encode(encoding))


def dataset(**changes):
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    document["datasets"]["colon"].update(changes)
    Path("datasets.yaml").write_text(yaml.safe_dump(document))


def ids(*names):
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    for row, name in zip(document["datasets"]["colon"]["slides"], names, strict=False):
        row.update(id=name, slide="c.tif", annotation="c.xml", patient="p")
    document["datasets"]["colon"]["slides"] = document["datasets"]["colon"]["slides"][: len(names)]
    Path("datasets.yaml").write_text(yaml.safe_dump(document))


def named(*names):
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    document["datasets"] = dict.fromkeys(names, document["datasets"]["colon"])
    Path("datasets.yaml").write_text(yaml.safe_dump(document))


def bomb(link):
    """Ten levels, each nine times the one before: 3.5 billion values."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n + 1}: &a{n + 1} {link.format(', '.join([f'*a{n}'] * 9))}" for n in range(10)]
    text("\n".join(lines) + "\ndatasets: *a10\n")


BOMB = re.compile(
    r"datasets\.yaml: anchors and aliases make \d+ values of it, wanted at most 1000000; write them out"
)
ID = "datasets.yaml: datasets.colon.slides.0.id: found {}, " + NAME
CASES = [
    Case("no file", lambda: Path("datasets.yaml").unlink(), CHECK,
         "datasets.yaml: there is no such file; name an existing YAML file"),
    Case("no bytes", partial(text, b""), CHECK, "datasets.yaml: found nothing, wanted a mapping of keys to settings"),
    Case("bytes that are no text", partial(text, b"\xff\xfe\x00"), CHECK,
         re.compile(r"datasets\.yaml: cannot be read as UTF-8 text \(.+\)")),
    Case("a tab", partial(text, "datasets:\n\tcolon: {}\n"), CHECK,
         "datasets.yaml: line 2: not YAML: found a tab, wanted spaces to indent"),
    Case("an unknown key", partial(dataset, clases={}), CHECK,
         re.compile(r"datasets\.yaml: datasets\.colon\.clases: unknown key; did you mean 'classes'\? possible: .+")),
    Case("a key twice", partial(text, "datasets: {}\ndatasets: {}\n"), CHECK,
         "datasets.yaml: line 2: key 'datasets' stands twice; keep one of the two"),
    Case("a number for a key", partial(text, "datasets: {1: {}}\n"), CHECK,
         "datasets.yaml: line 1: found key 1, wanted text: put it in quotes"),
    Case("a list for a mapping", partial(text, "datasets: []\n"), CHECK,
         "datasets.yaml: datasets: found [], wanted a mapping of names to datasets"),
    Case("a wrong type", partial(dataset, channels="three"), CHECK,
         "datasets.yaml: datasets.colon.channels: found 'three', wanted a whole number"),
    Case("a day that is none", partial(text, "datasets: 2001-13-45\n"), CHECK,
         re.compile(r"datasets\.yaml: line 1: found '2001-13-45', which YAML cannot read \(.+\): put it in quotes")),
    Case("half a binary number", partial(text, "datasets: 0b_\n"), CHECK,
         re.compile(r"datasets\.yaml: line 1: found '0b_', which YAML cannot read \(.+\): put it in quotes")),
    Case("a tag that does not fit", partial(text, "datasets: !!timestamp abc\n"), CHECK,
         re.compile(r"datasets\.yaml: line 1: found 'abc', which YAML cannot read \(.+\): put it in quotes")),
    Case("a Python object", partial(text, "datasets: !!python/object/apply:os.system ['touch pwned']\n"), CHECK,
         re.compile(r"datasets\.yaml: line 1: not YAML: could not determine a constructor for the tag .+")),
    Case("a bomb of lists", partial(bomb, "[{}]"), CHECK, BOMB),
    Case("a bomb of merged mappings", partial(bomb, "{{<<: [{}]}}"), CHECK, BOMB),
    Case("an anchor in itself", partial(text, "datasets: &a [*a]\n"), CHECK,
         "datasets.yaml: line 1: an anchor contains itself; write it out"),
    Case("20,000 lists deep", lambda: text("datasets: " + "[" * 20_000), CHECK, re.compile(r"datasets\.yaml: not YAML: .+")),
    Case("a NUL in the path of a sheet", partial(dataset, slides="a\0.tsv"), CHECK,
         "datasets.yaml: datasets.colon.slides: sheet 'a\\x00.tsv' cannot be read (embedded null byte); wanted CSV or TSV in UTF-8"),
    Case("a path for an id", partial(ids, "../../x"), CHECK, ID.format("'../../x'")),
    Case("a command for an id", partial(ids, "$(touch pwned)"), CHECK, ID.format("'$(touch pwned)'")),
    Case("a blank in an id", partial(ids, "a b"), CHECK, ID.format("'a b'")),
    Case("a letter that is not ASCII in an id", partial(ids, "ä"), CHECK, ID.format("'ä'")),
    Case("braces in a path", partial(of_slide_c, slide="a {x} b.tif"), CHECK,
         "datasets.yaml: datasets.colon.slides.2.slide: found 'a {x} b.tif', wanted a path without braces, which the workflow "
         "would fill in; rename the file or folder"),
    Case("half a brace in a pattern", partial(dataset, files={"slide": "{id}}.tif"}), CHECK,
"datasets.yaml: datasets.colon.files.slide: found a single brace in '{id}}.tif', possible: {id}"),
    Case("an option for an id", partial(ids, "--help"), CHECK, ID.format("'--help'")),
    Case("ids that differ in case only", partial(ids, "s1", "S1"), CHECK,
         "datasets.yaml: datasets.colon: slide id 'S1' stands twice (also as 's1'); ids are unique"),
    Case("an id that is the sheet of splits", partial(ids, "splits.tsv"), CHECK,
         "datasets.yaml: datasets.colon: slide id 'splits.tsv' is how the sheet of splits is called; rename the slide"),
    Case("datasets that differ in case only", partial(named, "colon", "Colon"), CHECK,
         "datasets.yaml: datasets 'Colon' and 'colon' differ in case only; rename one"),
    Case("a path for a dataset", partial(named, "../colon"), CHECK,
         f"datasets.yaml: datasets.../colon: found '../colon', {NAME}"),
    Case("what a terminal would obey", partial(text, 'datasets: {"a\\e[31m": {}}\n'), STEP,
         re.compile(rf"datasets\.yaml: datasets\.a\\x1b\[31m: found 'a\\x1b\[31m', {re.escape(NAME)}")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_configuration_is_refused(cohort, case):
    refused(case)
    assert not Path("pwned").exists()


def test_blanks_quotes_and_commands_in_paths_are_only_names(cohort):
    odd = 'it\'s a "slide" $(touch pwned) `touch pwned`; ü.tif'
    Path("c.tif").rename(odd)
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    document["datasets"]["colon"]["slides"][2]["slide"] = odd
    Path("datasets.yaml").write_text(yaml.safe_dump(document))
    assert hooknet(*STEP).status == 0
    assert not Path("pwned").exists()
