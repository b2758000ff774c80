"""The programs beside the architecture decisions: each still prints what its page says."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.template import ROOT

PROGRAMS = sorted((ROOT / "docs/adr").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_program_prints_what_its_page_says(program: Path) -> None:
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True, timeout=120)
    page = program.with_suffix(".md").read_text("utf-8")
    assert done.stdout
    assert f"```text\n{done.stdout}```" in page


def test_there_is_a_program() -> None:
    assert PROGRAMS
