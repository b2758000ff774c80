import io
import json

from recordings.observability import MAX_TRACE_CHARACTERS, logger


def test_a_trace_is_logged_once_and_has_a_bound(log: io.StringIO) -> None:
    try:
        raise ValueError("x" * 1_000_000 + " the end")
    except ValueError:
        logger.exception("failed")

    line = json.loads(log.getvalue())
    assert len(log.getvalue()) < MAX_TRACE_CHARACTERS + 1_000
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("the end")
    assert line["exception_name"] == "ValueError"


def test_a_short_trace_is_whole(log: io.StringIO) -> None:
    try:
        raise ValueError("short")
    except ValueError:
        logger.exception("failed")
    assert "ValueError: short" in json.loads(log.getvalue())["exception"]
