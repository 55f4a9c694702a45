"""What SECURITY.md claims of the source: nothing in a file is run, no shell is started, names are quoted."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "hooknet").rglob("*.py"))
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
#: Modules that run what they read, or read XML with entities.
FORBIDDEN = re.compile(
    r"(pickle|cloudpickle|dill|joblib|marshal|shelve|lxml|xml\.dom|xml\.sax(?!\.saxutils)|xml\.etree(?!\.ElementTree))\b"
)
#: Of the standard library's XML: types and the quoting of text, which read nothing.
HARMLESS = {"Element", "ParseError", "quoteattr", "escape"}
#: Placeholders of rules that are numbers, or made by functions that quote each path (workflow/rules/settings.smk).
UNQUOTED = {"params.options", "resources.launch", "resources.mem_mb", "resources.attempt"}


def calls(text):
    """(dotted name, keywords) of each call, and the names that are imported."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords}


def imported(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((one.name, "*") for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, one.name) for one in node.names)


def complaints(text):
    """What a source does that it must not."""
    found = [
        f"imports {module}.{name}"
        for module, name in imported(text)
        if FORBIDDEN.match(module) or (module.startswith("xml.") and name not in HARMLESS)
    ]
    for name, keywords in calls(text):
        last = name.rpartition(".")[2]
        if name in ("eval", "exec", "os.system", "os.popen") or last in (
            "read_pickle",
            "unsafe_load",
            "full_load",
        ):
            found.append(f"calls {name}")
        if keywords.get("shell", "False") != "False" or keywords.get("allow_pickle", "False") != "False":
            found.append(f"calls {name} with {keywords}")
        if name == "torch.load" and keywords.get("weights_only") != "True":
            found.append("calls torch.load without weights_only=True")
        if name in ("yaml.load", "yaml.load_all"):
            found.append(f"calls {name}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_runs_nothing_that_it_reads(path):
    assert complaints(path.read_text(encoding="utf-8")) == []


def test_weights_are_read_in_three_places_at_least():
    """Else the test above would look for another spelling than the code has."""
    found = [name for path in SOURCES for name, _ in calls(path.read_text(encoding="utf-8"))]
    assert found.count("torch.load") >= 3
    assert found.count("subprocess.run") >= 1


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(x)", "torch.load(x, weights_only=False)", "subprocess.run(x, shell=True)", "os.system(x)",
        "eval(x)", "import pickle", "from xml.etree.ElementTree import parse", "import xml.dom.minidom",
        "np.load(x, allow_pickle=True)", "yaml.load(x, Loader=yaml.Loader)", "import xml.etree.ElementTree",
        "from lxml import etree",
    ],
)  # fmt: skip
def test_the_check_sees_what_it_looks_for(text):
    assert len(complaints(text)) == 1


def shells(text):
    """The text of every shell directive of rules."""
    return re.findall(r"^    shell:\n((?:^        .*\n?)+)", text, re.MULTILINE)


def loose(text):
    """Placeholders that a shell would see without quotes."""
    named = [one for shell in shells(text) for one in re.findall(r"(?<!\{)\{([a-z_.]+(?::q)?)\}", shell)]
    return {one for one in named if not one.endswith(":q")} - UNQUOTED


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_quote_what_they_hand_to_the_shell(path):
    assert loose(path.read_text(encoding="utf-8")) == set()


def test_the_check_of_rules_sees_what_it_looks_for():
    every = "".join(path.read_text(encoding="utf-8") for path in RULES)
    assert len(shells(every)) == len(re.findall(r"^    shell:", every, re.MULTILINE)) > 20
    assert loose('rule a:\n    shell:\n        "cat {input.a} {output.b:q}"\n        " > {log}"\n') == {
        "input.a",
        "log",
    }


def test_every_package_is_pinned_to_one_version():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]
    assert len(pins) > 50
    assert [one for one in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+( ?;.*)?", one)] == []
