"""The table of log lines in docs/operations.md names every line that the functions write."""

import re

from tests.support.template import ROOT

CALL = re.compile(r"logger\.(?:info|warning|error|exception)\(\s*\"([^\"]+)\"")
ROW = re.compile(r"^\| ((?:`[^`]+`(?:, )?)+) \| (?:INFO|WARNING|ERROR)", re.MULTILINE)


def test_every_log_line_is_in_the_table() -> None:
    sources = [path.read_text("utf-8") for folder in ("layers", "functions") for path in (ROOT / folder).rglob("*.py")]
    written = {line for source in sources for line in CALL.findall(source)}
    rows = ROW.findall((ROOT / "docs/operations.md").read_text("utf-8"))
    listed = {line for row in rows for line in re.findall(r"`([^`]+)`", row)}
    assert len(written) > 10
    assert written - listed == set()
