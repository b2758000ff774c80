"""Every block of the documentation, and what `make up` prints, is pasted into a fresh shell and does what it says.

A page is one session, as for a reader who works through it from the top: a copy of the checkout as working directory,
an environment of PATH and HOME alone, and the shared stack as the local stack `default`. Blocks for readers with an AWS
account run against the emulator. Only checked are `sam`, and the targets of make that take minutes, end the shared
stack or call Cloudflare: `tests/support/pasted.py` says how.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import NAME
from tests.e2e.support import until
from tests.support.documented import Block, Class, class_of, of_page, pages
from tests.support.pasted import Checkout, Session, refusals_without_word
from tools.local import stack
from tools.local.__main__ import PASTE

# What only a reader has: an address and a token. `replaced` puts ours in their place.
API = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
PAGES = [page for page in pages() if any(class_of(block) in {Class.RUN, Class.EMULATED} for block in of_page(page))]


@pytest.fixture(scope="module")
def checkout(running: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout.of(running, tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module", autouse=True)
def executions(running: dict[str, Any]) -> Iterator[None]:
    """A failed one for the pages about failures; and a sync that a page starts ends before other tests start theirs."""
    runs, machines = stack.client(running, "stepfunctions"), running["state_machines"]
    runs.start_execution(stateMachineArn=machines["Processing"], input="{}")
    until(lambda: runs.list_executions(stateMachineArn=machines["Processing"], statusFilter="FAILED")["executions"])
    yield
    until(lambda: not runs.list_executions(stateMachineArn=machines["Sync"], statusFilter="RUNNING")["executions"])


def replaced(block: Block, running: dict[str, Any]) -> str:
    provider_recording = {
        "recordings-dev": f"recordings-{NAME}",
        "recordings-prod": f"recordings-{NAME}",
        API: running["api_url"],
        TOKEN: stack.token(running, "acme"),
        "--local ": f"--local {NAME} ",
    }
    text = block.text
    for name, recording in provider_recording.items():
        text = text.replace(name, recording)
    return text


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs_as_pasted(
    running: dict[str, Any], checkout: Checkout, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(checkout)
    by_class = dict.fromkeys(Class, 0)
    for block in of_page(page):
        kind = class_of(block)
        by_class[kind] += 1
        if kind in {Class.RUN, Class.EMULATED}:
            session.add(str(block), block.language, replaced(block, running), emulated=kind is Class.EMULATED)
        elif block.language == "json" and (name := checkout.file_of(page, block)):
            name.write_text(block.text)

    outcome = session.paste()

    with capsys.disabled():
        counts = ", ".join(f"{count} {kind}" for kind, count in by_class.items() if count)
        print(f"\n{page}: blocks: {counts}; only checked: {', '.join(outcome.checked) or 'nothing'}")
    assert outcome.failures == []
    assert outcome.reached == session.labels
    assert refusals_without_word(outcome, {label: text for label, _, text, _ in session.pasted}) == []
    assert "Traceback" not in outcome.output


def test_what_make_up_prints_runs_as_pasted(checkout: Checkout) -> None:
    up = Session(checkout)
    up.add("make up", "bash", "make up\n", emulated=False)
    printed = up.paste()
    assert printed.failures == []
    _, heading, lines = printed.output.partition(PASTE)
    assert heading, printed.output

    session = Session(checkout, cwd=Path("/"))
    session.add("printed", "bash", lines, emulated=False)
    outcome = session.paste()

    assert outcome.failures == []
    # The room is not there before, and what is started is stopped and listed.
    assert [status for _, status, _ in outcome.http] == [201, 201, 200, 200]
    assert '"status": "processing"' in outcome.output
