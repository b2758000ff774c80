"""The end of a sync, and the metric that raises an alarm if it stays away."""

from typing import Any

import pytest

from functions.workflow.end_sync.app import handler
from recordings.observability import metrics
from tests.support.context import Context
from tests.support.table import a_table

CASES = [
    pytest.param({"failed": False}, [1], id="successful"),
    pytest.param({"failed": True}, None, id="failed"),
]


@pytest.mark.parametrize(("outcome", "counted"), CASES)
def test_only_a_successful_sync_is_counted(outcome: dict[str, Any], counted: list[int] | None) -> None:
    metrics.clear_metrics()
    with a_table():
        assert handler({"nonce": "n", "watermark": None, "full_at": None, **outcome}, Context()) == {}
    assert metrics.metric_set.get("SyncsEnded", {}).get("Value") == counted
    metrics.clear_metrics()
