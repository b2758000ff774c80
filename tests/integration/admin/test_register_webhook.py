"""Registering the webhook at a server that answers as Cloudflare does."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests

from admin import AdminError
from admin.cli import run
from admin.webhook import api_token, register_webhook
from tests.support.standin import serving
from tools.local.standin.cloudflare import TOKEN


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path) as origin:
        yield origin


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
    broken = {
        "name": "ours",
        "url": "https://api.example/webhooks/cloudflare",
        "events": ["meeting.ended"],
        "enabled": False,
    }
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
    with pytest.raises(AdminError, match="401"):
        register_webhook(f"{standin}/client/v4", "a", "app", "wrong", "https://api.example")


@pytest.mark.parametrize(
    "held", [{}, {"SecretString": "x"}, {"SecretString": "[]"}, {"SecretString": '{"api_token": 5}'}]
)
def test_a_secret_without_a_token_is_told(monkeypatch: pytest.MonkeyPatch, held: dict[str, str]) -> None:
    class Secrets:
        def get_secret_value(self, **_: str) -> dict[str, str]:
            return held

    monkeypatch.setattr(boto3, "client", lambda _: Secrets())
    with pytest.raises(AdminError, match="does not hold"):
        api_token("arn")


def test_a_shell_without_credentials_is_told_what_to_give(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "RECORDINGS_STACK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    assert run(["reconcile", "--stack", "recordings-dev"]) == 1
    assert "AWS_PROFILE" in capsys.readouterr().err
