"""Environment and false credentials, set before anything of ours is imported."""

import gc
import hashlib
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import moto.core.models  # noqa: F401  it must be there before the first session of botocore, whose calls it answers
import pytest
from botocore.loaders import Loader
from hypothesis import settings

_init_loader = Loader.__init__
_loaded: dict[tuple[str, ...], dict[Any, Any]] = {}


def _share_loaded(loader: Loader, *args: Any, **named: Any) -> None:
    """Let all sessions share what is read from botocore's files, as the clients of one session do."""
    _init_loader(loader, *args, **named)
    vars(loader)["_cache"] = _loaded.setdefault(tuple(loader.search_paths), {})


Loader.__init__ = _share_loaded  # type: ignore[assignment, method-assign]

# How long an example takes says how busy the machine is. What fails for one fails for all, whoever changed nothing has
# nothing to mend; `make explore` tries other examples.
settings.register_profile("suite", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("suite")

os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "TABLE_NAME": "recordings-test",
    "TENANT_CLAIM": "tenant_id",
    "ACTOR_CLAIM": "sub",
    "ACCESS_LOG_DAYS": "365",
    "STALL_AFTER_SECONDS": "21600",
    "BEGIN_DEADLINE_SECONDS": "900",
    "STOP_DEADLINE_SECONDS": "300",
    "SESSION_DEADLINE_SECONDS": "1800",
    "SECOND_LOOK_SECONDS": "600",
    "MAX_ATTEMPTS": "12",
    "ATTEMPT_PAUSE_SECONDS": "300",
    "POWERTOOLS_SERVICE_NAME": "recordings",
    "POWERTOOLS_METRICS_NAMESPACE": "Recordings",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "CLOUDFLARE_ACCOUNT_ID": "account",
    "REALTIMEKIT_APP_ID": "app",
    "CLOUDFLARE_API_URL": "http://127.0.0.1:9/client/v4",
    "CLOUDFLARE_WEBHOOK_KEY_URL": "http://127.0.0.1:9/key",
    "CLOUDFLARE_CALLS_PER_MINUTE": "190",
    "CLOUDFLARE_STOP_RESERVE_PERCENT": "10",
    "CLOUDFLARE_TENANT_SHARE_PERCENT": "50",
    "CLOUDFLARE_WORKFLOW_SHARE_PERCENT": "80",
    "CLOUDFLARE_SYNC_SHARE_PERCENT": "60",
    "CAPTURE_HOSTS": "127.0.0.1",
    "LOOPBACK_CAPTURES": "on",
    "CLOUDFLARE_SECRET_ARN": "cloudflare-secret",
    "R2_ENDPOINT": "http://127.0.0.1:9",
    "R2_BUCKET": "files",
    "R2_SECRET_ARN": "r2-secret",
    "SECRET_TTL_SECONDS": "300",
    "PROCESSING_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:processing",
    "ARCHIVING_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:archiving",
    "ARCHIVE_BUCKET": "archive",
    "DOWNLOAD_ROLE_ARN": "arn:aws:iam::123456789012:role/download",
    "DIRECT_DELIVERY": "off",
    "EVENT_BUS": "recordings-bus",
}


# Tests of what is no part of a function, and tests that repeat what others cover: measuring them would only take time.
NOT_MEASURED = (
    "template",
    "unit/admin",
    "unit/tools",
    "integration/admin",
    "integration/client",
    "integration/docs",
    "integration/adapters/test_rate_limit.py",
    "integration/functions/test_ownership.py",
    "integration/tools",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave tests of tools and of the client out of the measured coverage."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).as_posix().startswith(NOT_MEASURED):
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """Leave what is loaded out of every later collection: a copy collects garbage after each part."""
    gc.collect()
    gc.freeze()


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Files are told apart by size and digest: a difference of megabytes takes longer than a test may."""
    if not (isinstance(left, bytes) and isinstance(right, bytes)) or max(len(left), len(right)) < 4096:
        return None
    at = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    reported = [f"{len(side)} bytes, SHA-256 {hashlib.sha256(side).hexdigest()}" for side in (left, right)]
    return [f"{reported[0]} {op} {reported[1]}", f"First difference at byte {at}"]


@pytest.fixture(autouse=True, scope="session")
def _actor() -> Iterator[None]:
    """What a test stores outside of every request and task belongs to the workflow."""
    # Not at the top of the file: the environment comes first.
    from recordings.adapters.dynamodb import actors
    from recordings.domain.actor import system

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actors, "NOBODY", system("workflow"))
        yield


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What our own logger writes, as it is stored."""
    from recordings.observability import logger

    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    yield written
    logging.getLogger(logger.service).removeHandler(handler)
