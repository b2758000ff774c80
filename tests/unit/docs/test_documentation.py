"""What the documentation names exists, and each of its blocks is checked by somebody."""

import json
import re
import tomllib
from collections.abc import Callable

import pytest
import yaml

from tests.support.documented import Block, Class, Unclassed, blocks, class_of, of_page, pages
from tests.support.template import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
READERS: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.compose}
# Commands that a reader can only start with their path.
WITHOUT_PATH = re.compile(r"(?<![\w/.])(python3? -m (tools\.\w+|admin)\b|recordings-admin \w|sam (deploy|delete) -)")


def commands(page: str) -> list[str]:
    """All code of a page: its blocks, and what stands in a line."""
    text = (ROOT / page).read_text()
    fenced = [block.text for block in blocks(page, text)]
    return [*fenced, *INLINE.findall(text)]


@pytest.mark.parametrize("page", pages())
def test_every_block_has_a_class_and_data_can_be_read(page: str) -> None:
    for block in of_page(page):
        if class_of(block) is Class.DATA:
            READERS[block.language](block.text)


@pytest.mark.parametrize("page", pages())
def test_every_make_target_that_is_named_exists(page: str) -> None:
    named = [
        (target, re.findall(r"\b([A-Z][A-Z_]+)=", rest))
        for code in commands(page)
        for target, rest in re.findall(r"(?:^|[\s;`])make ([a-z][a-z-]*)([^\n#|]*)", code)
    ]
    for target, variables in named:
        assert target in TARGETS, f"{page}: make {target}"
        for variable in variables:
            assert re.search(rf"\$\([^)]*\b{variable}\b", MAKEFILE), f"{page}: make {target} {variable}="


@pytest.mark.parametrize("page", pages())
def test_every_command_stands_with_its_path(page: str) -> None:
    assert [code for code in commands(page) if WITHOUT_PATH.search(code)] == []


@pytest.mark.parametrize("folder", ["tools/local", "admin", "tools/bench"])
def test_every_command_that_is_printed_stands_with_its_path(folder: str) -> None:
    printed = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text().splitlines()
        # What a sentence advises stands in backticks.
        if re.search("`" + WITHOUT_PATH.pattern, line) and not line.lstrip().startswith(('"""', "#"))
    ]
    assert printed == []


def test_make_help_names_every_target() -> None:
    (named,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    phony = set(named.split())
    helped = set(re.findall(r"^([a-z][a-z0-9-]*):.*##", MAKEFILE, re.MULTILINE))
    assert phony == TARGETS == helped


@pytest.mark.parametrize(
    "text",
    [
        "```\nmake up\n```\n",
        "```sh\nmake up\n```\n",
        "```text\nmake up\n```\n",
        "```text\n$ curl -sS http://127.0.0.1\n```\n",
        "```text\n.venv/bin/python -m tools.local up\n```\n",
        "```bash\nmake up\n",
    ],
)
def test_a_block_that_nobody_would_check_is_refused(text: str) -> None:
    with pytest.raises(Unclassed):
        [class_of(block) for block in blocks("page.md", text)]


def test_a_block_is_classed_by_its_language_and_its_first_line() -> None:
    page = (
        "1. An item:\n\n   ```bash\n   # Needs an AWS account.\n   aws sts get-caller-identity\n   ```\n\n"
        "```json\n{}\n```\n"
    )
    aws, data = blocks("page.md", page)
    assert aws == Block("page.md", 3, "bash", "# Needs an AWS account.\naws sts get-caller-identity\n")
    assert (class_of(aws), class_of(data)) == (Class.EMULATED, Class.DATA)
