"""The local stack filters log lines as Lambda does."""

import json

import pytest

from tools.local.log_levels import shown, told_its_level

METRICS = json.dumps({"_aws": {"Timestamp": 1}, "RecordingsStarted": [1]})
LINES = [json.dumps({"level": level}) for level in ("DEBUG", "INFO", "WARNING", "ERROR")]


def config(level: str | None = None, log_format: str = "JSON") -> dict[str, object]:
    logging = {"LogFormat": log_format} | ({"ApplicationLogLevel": level} if level else {})
    return {"LoggingConfig": logging, "Environment": {"Variables": {"A": "b"}}}


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        pytest.param("DEBUG", [*LINES, METRICS, "plain", "[1]"], id="DEBUG"),
        pytest.param(None, [*LINES[1:], METRICS, "plain", "[1]"], id="INFO by default"),
        pytest.param("WARN", LINES[2:], id="WARN hides metrics"),
    ],
)
def test_lines_below_the_level_are_dropped_and_what_has_no_level_counts_as_info(
    level: str | None, kept: list[str]
) -> None:
    assert shown("\n".join([*LINES, METRICS, "plain", "[1]"]), config(level)).splitlines() == kept


def test_the_text_format_is_not_filtered() -> None:
    assert shown("\n".join(LINES), config("WARN", "Text")).splitlines() == LINES
    assert told_its_level(config("WARN", "Text")) == config("WARN", "Text")


def test_a_function_is_told_its_level() -> None:
    variables = told_its_level(config("DEBUG"))["Environment"]["Variables"]
    assert variables == {"A": "b", "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}
