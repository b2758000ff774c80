"""A file of the layer or of a function is short enough to be read at once."""

import pytest

from tests.support.template import ROOT

MAX_LINES = 400
FILES = [path for folder in ("layers/recordings", "functions") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("folder", ["layers/recordings", "functions"])
def test_no_file_is_longer_than_the_limit(folder: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in FILES
        if path.is_relative_to(ROOT / folder)
    }
    assert len(lengths) > 30
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}
