"""The scan for secrets in `make check` finds one, and reads the files that it is given."""

import subprocess
from pathlib import Path

import pytest

from tests.support.template import ROOT

SCAN: list[str | Path] = [ROOT / ".venv/bin/node", ROOT / "tools/node/node_modules/.bin/secretlint", "--no-color"]
# In two halves: this file is scanned too.
TOKENS = [
    "ghp_" + "0123456789" * 3 + "abcdef",
    "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYRE" + "ALKEYabc",
]


@pytest.mark.parametrize("token", TOKENS, ids=["GitHub", "AWS"])
def test_a_secret_in_a_file_is_found(tmp_path: Path, token: str) -> None:
    (tmp_path / ".secretlintrc.json").write_text((ROOT / ".secretlintrc.json").read_text())
    (tmp_path / "settings.py").write_text(f"{token}\n")
    done = subprocess.run(
        [*SCAN, "--secretlintrc", tmp_path / ".secretlintrc.json", tmp_path / "settings.py"],
        capture_output=True, text=True, check=False, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "1 problem" in done.stdout
