"""What each function costs is what the committed table says, so that no cost grows unseen."""

import copy
from typing import Any

import pytest

from tests.support.deployed import FUNCTIONS
from tests.support.template import ROOT
from tools.bench.api.costs import STORED, committed, differences, measure
from tools.bench.api.report import in_figures


def test_every_function_costs_what_the_committed_table_says() -> None:
    changed = differences(committed(), measure(warm_runs=1).table)
    accept = "Look at each change. `make bench-api ACCEPT=1` accepts all of them."
    assert changed == [], "\n".join([*changed, accept])


def test_every_function_is_measured() -> None:
    assert committed().keys() == {*FUNCTIONS, STORED}


def test_the_figures_show_the_committed_table() -> None:
    assert in_figures(committed(), (ROOT / "docs/figures.md").read_text()) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param({"write_units": 20}, "StartRecording, a room: write units 19 -> 20", id="units"),
        pytest.param({"trips": 4}, "StartRecording, a room: trips 3 -> 4", id="trips"),
        pytest.param({"calls": {"cloudflare.start": 2}}, "StartRecording, a room: cloudflare.start 1 -> 2", id="calls"),
        pytest.param({"calls": {}}, "StartRecording, a room: cloudflare.start 1 -> 0", id="a call that is left out"),
        pytest.param(
            {"cold_calls": {"secretsmanager.GetSecretValue": 2}},
            "StartRecording, a room: first call: secretsmanager.GetSecretValue 1 -> 2",
            id="the first call of a process",
        ),
    ],
)
def test_a_difference_names_the_case_and_both_numbers(changes: dict[str, Any], line: str) -> None:
    before: Any = {
        "StartRecording": {
            "a room": {
                "read_units": 2,
                "write_units": 19,
                "trips": 3,
                "calls": {"cloudflare.start": 1},
                "cold_calls": {"secretsmanager.GetSecretValue": 1},
            }
        }
    }
    after = copy.deepcopy(before)
    after["StartRecording"]["a room"] |= changes
    assert differences(before, after) == [line]
    assert differences(before, before) == []
    assert differences({}, before) == ["StartRecording, a room: is new"]
    assert differences(before, {}) == ["StartRecording, a room: is not measured any more"]
