"""The end of a sync, and the metric whose silence raises an alarm."""

from typing import Any

import pytest

from functions.workflow.end_sync.app import handler
from recordings.observability import metrics
from tests.support.context import Context
from tests.support.table import a_table

# An execution that began before there was `gave_up` does not send it.
CASES = [
    pytest.param({"gave_up": False}, [1], id="ended well"),
    pytest.param({"gave_up": True}, None, id="gave up"),
    pytest.param({}, [1], id="an older execution"),
]


@pytest.mark.parametrize(("told", "counted"), CASES)
def test_only_a_sync_that_ended_well_is_counted(told: dict[str, Any], counted: list[int] | None) -> None:
    metrics.clear_metrics()
    with a_table():
        assert handler({"nonce": "n", "newest": None, "full_at": None, **told}, Context()) == {}
    assert metrics.metric_set.get("SyncsEnded", {}).get("Value") == counted
    metrics.clear_metrics()
