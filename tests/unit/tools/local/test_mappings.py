"""A stack whose streams are not filtered, and filtered again."""

from pathlib import Path
from typing import Any

import pytest

from tools.local import __main__ as command
from tools.local import mappings, stack

PATTERN = {"Filters": [{"Pattern": "{}"}]}


class Lambda:
    """As much of the client as mappings use."""

    def __init__(self) -> None:
        self.criteria: dict[str, Any] = {"a": PATTERN, "b": None}

    def list_event_source_mappings(self) -> Any:
        return {"EventSourceMappings": [{"UUID": one, "FilterCriteria": its} for one, its in self.criteria.items()]}

    def update_event_source_mapping(self, **wanted: Any) -> None:
        self.criteria[wanted["UUID"]] = wanted["FilterCriteria"]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lambda:
    made = Lambda()
    monkeypatch.setattr(stack, "client", lambda *_: made)
    monkeypatch.setattr(stack, "folder", lambda _: tmp_path)
    monkeypatch.setattr(stack, "load", lambda name: {"name": name})
    return made


def test_filters_are_ignored_for_a_while(client: Lambda) -> None:
    with mappings.unfiltered({"name": "x"}):
        assert client.criteria == {"a": mappings.NO_FILTERS, "b": None}
        # Once more, and what was kept stays kept.
        mappings.ignore_filters({"name": "x"})
    assert client.criteria == {"a": PATTERN, "b": None}
    mappings.restore_filters({"name": "x"})
    assert client.criteria == {"a": PATTERN, "b": None}


def test_filters_are_ignored_by_command(client: Lambda, capsys: pytest.CaptureFixture[str]) -> None:
    for state, criteria in (("ignored", mappings.NO_FILTERS), ("kept", PATTERN)):
        command.run(command.parser().parse_args(["filters", state]), "default")
        assert client.criteria["a"] == criteria
    assert "kept" in capsys.readouterr().out
