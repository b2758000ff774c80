"""The commands about lists on a stack, from the command line to the table, on moto."""

import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import boto3
import pytest

from admin import deployment
from admin.cli import run
from admin.stack import client_factory
from recordings.adapters.dynamodb.layout import Layout
from recordings.adapters.dynamodb.settings import TABLE
from recordings.observability import logger
from tests.support.lists import fill
from tests.support.table import a_table

STACK = "recordings-here"


@pytest.fixture(autouse=True)
def stack() -> Iterator[None]:
    """A deployed stack with our table. What a command changes in this process is put back."""
    log = logging.getLogger(logger.name)
    level = log.level
    with patch.dict(os.environ), a_table():
        outputs = {"TableName": {"Value": TABLE}, deployment.LAYOUT_OUTPUT: {"Value": deployment.ROWS}}
        template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
        boto3.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(template))
        yield
    log.setLevel(level)


def test_a_new_stack_is_not_migrated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "--stack", STACK]) == 0
    assert capsys.readouterr().out == "Nothing to migrate: the lists of this stack are rows.\n"


def test_a_dry_run_shows_what_there_is_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    fill(2, rooms=1)
    assert run(["migrate", "--stack", STACK, "--dry-run"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["Layout: days.", "Tenants: 2. Recordings: 4."]
    assert printed[-1] == "Nothing was changed."


def test_a_wait_that_is_too_short_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "--stack", STACK, "--settle-seconds", "179"]) == 1
    assert capsys.readouterr().err == "error: --settle-seconds must be at least 180 unless the stack is local.\n"


def test_the_tallies_of_a_stack_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    fill(5, by=Layout.ROWS)
    assert run(["tallies", "--stack", STACK, "--check", "--workers", "1"]) == 0
    assert capsys.readouterr().out == "Layout: rows.\n2 tenants, 8 recordings: 2 right, 0 wrong.\n"


def test_the_end_of_a_deployment_is_read_from_the_stacks_events() -> None:
    now = datetime.now(UTC) + timedelta(seconds=100)
    left = deployment.seconds_until_alone(client_factory(None), STACK, now)
    assert 700 < left < deployment.MAX_FUNCTION_SECONDS
