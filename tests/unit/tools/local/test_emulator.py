from typing import Any

import pytest

from tools.local.emulator import claim_text, named_error


@pytest.mark.parametrize(
    ("claim", "delivered"),
    [
        ("acme", "acme"),
        (["acme"], "[acme]"),
        (["a", "b"], "[a b]"),
        (["a b"], "[a b]"),
        ([], "[]"),
        (5, "5"),
        (1612061676, "1612061676"),
        (1.5, "1.5"),
        (True, "true"),
        ({"a": 1}, "map[a:1]"),
        ({"roles": ["admin", "dev"], "a": {}}, "map[a:map[] roles:[admin dev]]"),
        (None, "<nil>"),
    ],
    ids=repr,
)
def test_a_claim_arrives_as_text(claim: Any, delivered: str) -> None:
    assert claim_text(claim) == delivered


KILLED = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed"}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Runtime.HandlerError", "Worker process died"),
        ("RuntimeError", "Worker process exited immediately. stderr: "),
        ("Runtime.HandlerError", "[Errno 32] Broken pipe"),
    ],
    ids=["at work", "while it starts", "idle"],
)
def test_a_worker_that_dies_is_told_as_lambda_tells_it(kind: str, message: str) -> None:
    """State machines try that again; the emulator's own words they would not know."""
    assert named_error({"errorType": kind, "errorMessage": message}, "") == KILLED


def test_a_failure_carries_the_class_of_its_error() -> None:
    log = "Traceback (most recent call last):\n  File x\nrecordings.domain.errors.Throttled: busy\n"
    reported = {"errorType": "Runtime.HandlerError", "errorMessage": "busy"}
    assert named_error(reported, log) == {"errorType": "Throttled", "errorMessage": "busy"}
    assert named_error(reported, "") == reported
    timed_out = {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out"}
    assert named_error(timed_out, log) == timed_out


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("No module named 'recordings.new'", "Runtime.ImportModuleError"),
        ("cannot import name 'New' from 'recordings.domain'", "Runtime.ImportModuleError"),
        ("module 'app' has no attribute 'handler'", "Runtime.HandlerNotFound"),
        ("invalid syntax (app.py, line 3)", "Runtime.UserCodeSyntaxError"),
        ("'TABLE_NAME'", "Runtime.Unknown"),
    ],
)
def test_code_that_cannot_be_loaded_is_told_as_lambda_tells_it(reason: str, kind: str) -> None:
    reported = {"errorType": "RuntimeError", "errorMessage": f"Worker init failed: {reason}"}
    assert named_error(reported, "") == {"errorType": kind, "errorMessage": reason}
