"""Choose the stack that a command is for, and make AWS clients for it."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from admin import AdminError

# `make up` writes .local/<name>/stack.json below this folder.
ROOT: Final = Path(os.environ.get("RECORDINGS_ROOT", Path(__file__).resolve().parents[1])).resolve()
# The time-out of the audit function is 900 seconds, and a repeated call would run a second audit.
CONFIG: Final = Config(connect_timeout=5, read_timeout=905, retries={"total_max_attempts": 1})

type ClientFactory = Callable[[str], Any]


def choose_stack(*, stack: str | None, local: str | None, root: Path = ROOT) -> tuple[str, str | None]:
    """Return the name of the CloudFormation stack and, if it is local, the name of the local stack.

    Raises:
        AdminError: both are named, or none is named and no local stack is up
    """
    if stack is not None and local is not None:
        raise AdminError("--stack and --local exclude each other. Leave one out.")
    stack = stack if stack is not None or local is not None else os.environ.get("RECORDINGS_STACK") or None
    if stack is not None:
        return stack, None
    if local is None and stack_file("default", root).exists():
        print("This is about the local stack 'default'. Use --stack for another one.", file=sys.stderr)
        local = "default"
    if local is None:
        raise AdminError("No stack is named. Use --stack, RECORDINGS_STACK or --local.")
    return f"recordings-{local}", local


def client_factory(local: str | None, root: Path = ROOT) -> ClientFactory:
    """Return what makes AWS clients: for the credentials of the shell, or for a local stack.

    Raises:
        AdminError: the local stack is not up
    """
    options = {} if local is None else _local_options(local, root)
    make: Any = boto3.client  # its stubs accept only literal names of services
    return lambda service: make(service, config=CONFIG, **options)


def stack_file(name: str, root: Path) -> Path:
    """Return the file that describes a local stack while it is up."""
    return root / ".local" / name / "stack.json"


def local_environment(name: str, root: Path = ROOT) -> dict[str, str]:
    """Return the variables with which AWS clients work on a local stack.

    Raises:
        AdminError: the local stack is not up
    """
    options = _local_options(name, root)
    return {
        "AWS_ENDPOINT_URL": options["endpoint_url"],
        "AWS_DEFAULT_REGION": options["region_name"],
        "AWS_ACCESS_KEY_ID": options["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": options["aws_secret_access_key"],
    }


def _local_options(name: str, root: Path) -> dict[str, str]:
    path = stack_file(name, root)
    if not path.exists():
        up = "make up" if name == "default" else f"make up NAME={name}"
        raise AdminError(f"No local stack '{name}' is up. Start it with `{up}`.")
    stack = json.loads(path.read_text())
    credentials = stack["credentials"]["aws"]
    return {
        "endpoint_url": stack["endpoints"]["aws"],
        "region_name": stack["region"],
        "aws_access_key_id": credentials["access_key_id"],
        "aws_secret_access_key": credentials["secret_access_key"],
    }
