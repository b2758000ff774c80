"""Every link of the documentation leads somewhere, and the README stays a first page."""

import re

import pytest

from tests.support.documented import pages
from tests.support.template import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MAX_README_LINES = 150
# What a page names in code, from the checkout's root or from the layer's package.
PATH = re.compile(
    r"`((?:docs|tools|tests|layers|functions|statemachines|clients|admin|events|domain|adapters|services|ports|http"
    r"|workflow|wiring)/[\w./*-]+)`"
)
PACKAGE = ROOT / "layers/recordings/recordings"


def text_of(page: str) -> str:
    return FENCE.sub("", (ROOT / page).read_text("utf-8"))


def anchors(page: str) -> set[str]:
    """The fragments that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    broken = []
    for target in LINK.findall(text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        name = str(file.resolve().relative_to(ROOT))
        if not file.exists() or (fragment and fragment not in anchors(name)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", pages())
def test_every_path_that_is_named_exists(page: str) -> None:
    named = set() if page == "CHANGELOG.md" else set(PATH.findall(text_of(page)))
    missing = [
        path
        for path in sorted(named)
        if not any(any(root.glob(path)) for root in (ROOT, PACKAGE)) and not path.startswith("events/")
    ]
    assert missing == []


def test_every_decision_is_in_the_table_under_its_title() -> None:
    folder = ROOT / "docs/adr"
    rows = dict(
        re.findall(r"^\| \[(.*?)\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
    )
    titles = {path.read_text("utf-8").partition("\n")[0].removeprefix("# "): path.name for path in folder.glob("0*.md")}
    assert rows == titles
    assert [name[:4] for name in rows.values()] == [f"{number:04d}" for number in range(1, len(rows) + 1)]


def test_the_readme_is_short_and_has_one_picture() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) < MAX_README_LINES
    assert len(re.findall(r"!\[[^\]]+\]\(docs/pictures/[\w-]+\.svg\)", readme)) == 1
