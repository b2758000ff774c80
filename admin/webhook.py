"""Register the API as a webhook of the RealtimeKit app."""

import json
from typing import Any, Final

import boto3
import requests

from admin import AdminError

API: Final = "https://api.cloudflare.com/client/v4"
EVENTS: Final = ("recording.statusUpdate",)
# Seconds to connect, and between two bytes.
TIMEOUT: Final = (5, 20)


def api_token(secret: str) -> str:
    """Read Cloudflare's API token from Secrets Manager.

    Raises:
        AdminError: the secret has no `api_token`
    """
    text = boto3.client("secretsmanager").get_secret_value(SecretId=secret).get("SecretString", "")
    try:
        token = json.loads(text)["api_token"]
    except (ValueError, TypeError, KeyError):
        token = None
    if not isinstance(token, str) or not token:
        raise AdminError(f'The secret {secret} does not hold {{"api_token": "…"}}. See section 2 of docs/deploy.md.')
    return token


def register_webhook(api: str, account: str, app: str, token: str, url: str) -> str:
    """Add or complete the webhook of our API. Return what was found and done, for the operator.

    Raises:
        AdminError: Cloudflare refused a request
        requests.RequestException: Cloudflare does not respond
    """
    base = f"{api}/accounts/{account}/realtime/kit/{app}/webhooks"
    target = f"{url.rstrip('/')}/webhooks/cloudflare"
    headers = {"Authorization": f"Bearer {token}"}
    registered = _list_webhooks(base, headers)
    lines = [f"  {hook.get('url')}  {'on' if hook.get('enabled') else 'off'}" for hook in registered]
    own = next((hook for hook in registered if hook.get("url") == target), None)
    if own is None:
        new = {"name": "recordings", "url": target, "events": [*EVENTS], "enabled": True}
        _data(requests.post(base, json=new, headers=headers, timeout=TIMEOUT))
        done = "is now registered"
    elif own.get("enabled") and set(EVENTS) <= set(own.get("events") or []):
        done = "is registered already"
    else:
        change = {"events": sorted({*(own.get("events") or []), *EVENTS}), "enabled": True}
        _data(requests.patch(f"{base}/{own['id']}", json=change, headers=headers, timeout=TIMEOUT))
        done = "was incomplete and is now on"
    return "\n".join(["Webhooks:", *lines, f"{target} {done}."])


def _list_webhooks(base: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """The API reference lists webhooks at /webhooks, the webhook guide at /webhooks/all."""
    response = requests.get(base, headers=headers, timeout=TIMEOUT)
    if response.status_code in {404, 405}:
        response = requests.get(f"{base}/all", headers=headers, timeout=TIMEOUT)
    return _data(response) or []


def _data(response: requests.Response) -> Any:
    try:
        document = response.json()
    except ValueError:
        document = {}
    if not response.ok or document.get("success") is False:
        raise AdminError(f"Cloudflare responded with {response.status_code}: {response.text[:200]}")
    return document.get("data")
