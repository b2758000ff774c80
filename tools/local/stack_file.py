"""A local stack seen from outside: its folder `.local/<name>`, its file `stack.json` and clients for its services."""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

PACKAGE_PARENT = Path(__file__).resolve().parents[2]
ROOT = Path(os.environ.get("RECORDINGS_ROOT", PACKAGE_PARENT)).resolve()
REGION = "us-east-1"
# A 12-digit access key of the emulator is an account. The secret of its root user is `test`.
AWS_ACCOUNT, R2_ACCOUNT, SECRET = "000000000000", "222222222222", "test"
R2_BUCKET = "recordings"
CLOUDFLARE_ACCOUNT, REALTIMEKIT_APP = "0123456789abcdef0123456789abcdef", "local-app"
CLOUDFLARE_TOKEN = "local-cloudflare-token"
AUDIENCE = "recordings"
SCOPES = "recordings:read recordings:write recordings:adopt recordings:audit"
DEFAULT_PORT = 8787


class StackError(Exception):
    """What is wrong with the stack and what to do, in one line."""


def make(target: str, name: str) -> str:
    """Return the command for a target of the Makefile and the stack `name`."""
    return f"make {target}" if name == "default" else f"make {target} NAME={name}"


def folder(name: str) -> Path:
    """Return the folder with the state, the logs and the build of a stack."""
    return ROOT / ".local" / name


def load(name: str = "default") -> dict[str, Any]:
    """Return the addresses, names and process ids of the running stack.

    Raises:
        StackError: the stack is not up
    """
    path = folder(name) / "stack.json"
    if not path.exists():
        raise StackError(f"No local stack '{name}' is up: start it with `{make('up', name)}`.")
    stack: dict[str, Any] = json.loads(path.read_text())
    return stack


def save(stack: dict[str, Any]) -> None:
    """Write `stack.json`; for the stack `default` also to `.local/`."""
    text = json.dumps(stack, indent=2) + "\n"
    (folder(stack["name"]) / "stack.json").write_text(text)
    if stack["name"] == "default":
        (ROOT / ".local" / "stack.json").write_text(text)


def client(stack: dict[str, Any], service: str) -> Any:
    """Return a boto3 client for the stack's AWS account, or, for the service `r2`, for its R2 account."""
    r2 = service == "r2"
    credentials = stack["credentials"]["r2" if r2 else "aws"]
    make: Any = boto3.client  # the stubs accept only literal names of services
    return make(
        "s3" if r2 else service,
        endpoint_url=stack["endpoints"]["r2" if r2 else "aws"],
        region_name="auto" if r2 else stack["region"],
        aws_access_key_id=credentials["access_key_id"],
        aws_secret_access_key=credentials["secret_access_key"],
        config=Config(
            s3={"addressing_style": "path"},
            read_timeout=900,
            retries={"total_max_attempts": 1},
            # A part must have the checksum algorithm of its upload. By default boto3 adds another one to each part.
            request_checksum_calculation="when_required",
        ),
    )


def post(url: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """POST `body` as JSON, or GET without a body, and return the JSON of the response.

    Raises:
        StackError: the stand-in reports an error or is not reachable
    """
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {CLOUDFLARE_TOKEN}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return dict(json.loads(response.read() or b"{}") or {})
    except urllib.error.HTTPError as error:
        raise StackError(f"The stand-in responded to {url} with {error.code}: {error.read().decode()[:200]}") from None
    except OSError as error:
        raise StackError(f"{url} is not reachable ({error}). Is the stack up? `make up` starts one.") from None
