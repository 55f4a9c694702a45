import re
from pathlib import Path

import made_commands
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_the_readme_names_targets_that_make_knows():
    named = set(
        re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= named <= known


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_section_leads_to_one(page):
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    inside = [(page.parent / link if link else page, anchor) for link, anchor in links if "://" not in link]
    assert [(str(other), anchor) for other, anchor in inside if anchor not in anchors(other)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_and_option_that_a_page_names_exists(page):
    fenced = re.findall(r"^```\w*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    commands = [line for block in fenced for line in block.replace("\\\n", " ").splitlines()]
    named = [one.removeprefix("$ ").strip() for one in (*commands, *made_commands.spans(page))]
    found = {
        one: made_commands.wrong(re.sub(r"\s#.*", "", one))
        for one in named
        if re.match(r"hooknet [a-z-]+( |$)", one)
    }
    assert {one: wrong for one, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("name", ["faq.md", "tutorial.md"])
def test_every_setting_that_a_page_names_exists(name):
    page = ROOT / "docs" / name
    named = made_commands.named_keys(page)
    assert len(named) >= {"faq.md": 25, "tutorial.md": 3}[name]
    assert named - made_commands.keys() == set()


def test_questions_are_answered_and_found():
    page = ROOT / "docs" / "faq.md"
    text = page.read_text(encoding="utf-8")
    themes = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    questions = {
        theme: re.findall(r"^\*\*(.+?)\*\* \S", part, re.MULTILINE)
        for theme, part in zip(themes[1::2], themes[2::2], strict=True)
    }
    assert list(questions) == [
        "Installing", "Spacing", "Annotations", "Patch sizes", "Training", "Inference", "Outputs", "Memory and speed",
        "Weights", "Formats",
    ]  # fmt: skip
    assert min(len(found) for found in questions.values()) >= 5
    assert set(re.findall(r"\]\(#([a-z-]+)\)", text)) == anchors(page) - {"questions"}
