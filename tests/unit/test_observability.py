import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from recordings import observability
from recordings.observability import (
    MAX_TRACE_CHARACTERS,
    count,
    count_bytes,
    flush,
    identify,
    invocation,
    logger,
    metrics,
)
from tests.support.context import Context
from tests.support.template import ROOT, template


def test_a_stack_trace_is_logged_once_and_shortened(log: io.StringIO) -> None:
    try:
        raise ValueError("x" * 1_000_000 + " the end")
    except ValueError:
        logger.exception("failed")

    line = json.loads(log.getvalue())
    assert len(log.getvalue()) < MAX_TRACE_CHARACTERS + 1_000
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("the end")
    assert line["exception_name"] == "ValueError"


def test_a_short_stack_trace_is_complete(log: io.StringIO) -> None:
    try:
        raise ValueError("short")
    except ValueError:
        logger.exception("failed")
    assert "ValueError: short" in json.loads(log.getvalue())["exception"]


# ---------------------------------------------------------------- levels

# The levels that the template and Lambda set for a function's process.
PROBE = """
import logging, os
logging.getLogger().setLevel(os.environ["AWS_LAMBDA_LOG_LEVEL"].replace("WARN", "WARNING"))
from recordings.observability import logger
for level in ("debug", "info", "warning", "error"):
    getattr(logger, level)(level)
print("botocore", logging.getLogger("botocore.parsers").isEnabledFor(logging.DEBUG))
"""
LEVELS = template()["Mappings"]["LambdaLogLevels"]
ORDER = ["DEBUG", "INFO", "WARNING", "ERROR"]


@pytest.mark.parametrize("level", template()["Parameters"]["LogLevel"]["AllowedValues"])
def test_a_log_level_shows_its_lines_and_never_the_debug_lines_of_libraries(level: str) -> None:
    """botocore logs whole responses of Secrets Manager at DEBUG."""
    environment = {**os.environ, "POWERTOOLS_LOG_LEVEL": level, "AWS_LAMBDA_LOG_LEVEL": LEVELS[level]["Application"],
                   "AWS_LAMBDA_LOG_FORMAT": "JSON", "PYTHONPATH": str(ROOT / "layers/recordings")}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE], env=environment, capture_output=True, text=True, check=True
    )
    *logged, libraries = done.stdout.splitlines()
    lambda_shows = {name for name in ORDER if ORDER.index(name) >= ORDER.index(LEVELS[level]["Application"])}
    shown = [json.loads(line)["level"] for line in logged if json.loads(line)["level"] in lambda_shows]
    assert shown == ORDER[ORDER.index(level) :]
    assert libraries == "botocore False"


# ---------------------------------------------------------------- metrics


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[Any]]]:
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "false")
    metrics.clear_metrics()
    capsys.readouterr()
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    metrics.clear_metrics()


def test_a_metric_is_one_number_however_often_it_is_counted(published: Callable[[], list[Any]]) -> None:
    """Logs Insights cannot add up lists, and Powertools cuts a list at a hundred values."""
    for _ in range(250):
        count("CloudflareCalls")
    count_bytes("BytesCopied", 7)
    flush(tenant_id="acme")
    (line,) = published()
    assert line["CloudflareCalls"] == [250]
    assert line["tenant_id"] == "acme"
    units = {one["Name"]: one["Unit"] for one in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {"CloudflareCalls": "Count", "BytesCopied": "Bytes"}
    # The tenant is no dimension: CloudWatch charges for each value of a dimension.
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]


def test_metrics_of_one_tenant_are_not_published_for_the_next(published: Callable[[], list[Any]]) -> None:
    count("A")
    flush(tenant_id="acme")
    count("B")
    flush()
    first, second = published()
    assert "tenant_id" in first
    assert "tenant_id" not in second
    assert "A" not in second


def test_a_cold_start_is_counted_once_with_the_function_name(
    published: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observability, "_started_cold", False)
    for _ in range(2):
        with invocation(Context()):
            pass
    (line,) = published()
    assert (line["ColdStart"], line["function_name"], line["service"]) == ([1.0], "test", "recordings")


def test_ids_are_in_every_line_until_the_next_invocation(log: io.StringIO) -> None:
    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, str], context: Context) -> None:
        with invocation(context):
            identify(tenant_id=event.get("tenant"), recording_id="rec_1")
            logger.info("here")

    handler({"tenant": "acme"}, Context())
    handler({}, Context())
    first, second = (json.loads(line) for line in log.getvalue().splitlines())
    assert (first["tenant_id"], first["recording_id"]) == ("acme", "rec_1")
    assert "tenant_id" not in second
