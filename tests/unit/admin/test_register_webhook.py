"""Registering the webhook at a server that answers as Cloudflare does."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from aiohttp import web

from admin.__main__ import Refused, register_webhook
from local.standin.__main__ import application
from local.standin.cloudflare import TOKEN


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[str]:
    """The stand-in on a free port, in a thread of its own."""
    loop, ready, address = asyncio.new_event_loop(), threading.Event(), []

    async def start() -> web.AppRunner:
        runner = web.AppRunner(application(tmp_path, "http://127.0.0.1", "http://127.0.0.1:9"))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        return runner

    def serve() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(20)
    yield address[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)


def hooks(standin: str) -> list[dict[str, object]]:
    url = f"{standin}/client/v4/accounts/a/realtime/kit/app/webhooks"
    found: list[dict[str, object]] = requests.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5).json()[
        "data"
    ]
    return found


def test_it_is_registered_once_however_often_it_is_asked_for(standin: str) -> None:
    for said in ("is now registered", "is registered already", "is registered already"):
        assert said in register_webhook(f"{standin}/client/v4", "a", "app", TOKEN, "https://api.example/")
    (hook,) = hooks(standin)
    assert (hook["url"], hook["events"]) == ("https://api.example/webhooks/cloudflare", ["recording.statusUpdate"])


def test_one_that_is_off_or_incomplete_is_put_right(standin: str) -> None:
    url = f"{standin}/client/v4/accounts/a/realtime/kit/app/webhooks"
    broken = {"url": "https://api.example/webhooks/cloudflare", "events": ["meeting.ended"], "enabled": False}
    requests.post(url, json=broken, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
    said = register_webhook(f"{standin}/client/v4", "a", "app", TOKEN, "https://api.example")
    assert "was incomplete and is now on" in said
    (hook,) = hooks(standin)
    assert (hook["events"], hook["enabled"]) == (["meeting.ended", "recording.statusUpdate"], True)


def test_a_list_at_the_other_address_is_found(standin: str) -> None:
    requests.post(f"{standin}/_control/settings", json={"webhooks_listed_at": "all"}, timeout=5).raise_for_status()
    for said in ("is now registered", "is registered already"):
        assert said in register_webhook(f"{standin}/client/v4", "a", "app", TOKEN, "https://api.example/")


def test_what_cloudflare_refuses_is_told(standin: str) -> None:
    with pytest.raises(Refused, match="401"):
        register_webhook(f"{standin}/client/v4", "a", "app", "wrong", "https://api.example")
