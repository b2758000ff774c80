"""Starts, deploys, inspects and stops local stacks. One stack is a set of processes and a directory `.local/<name>`."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.local import progress
from tools.local.deployment import deploy_beside as deploy_beside
from tools.local.deployment import deploy_checkout
from tools.local.deployment import resources as resources
from tools.local.deployment import sam_environment as sam_environment
from tools.local.processes import api_port_of, free_port, is_listening, start_processes, stop_session
from tools.local.processes import members as members
from tools.local.stack_file import (
    AUDIENCE,
    AWS_ACCOUNT,
    CLOUDFLARE_TOKEN,
    R2_ACCOUNT,
    R2_BUCKET,
    REGION,
    SECRET,
    post,
    save,
)
from tools.local.stack_file import CLOUDFLARE_ACCOUNT as CLOUDFLARE_ACCOUNT
from tools.local.stack_file import DEFAULT_PORT as DEFAULT_PORT
from tools.local.stack_file import PACKAGE_PARENT as PACKAGE_PARENT
from tools.local.stack_file import REALTIMEKIT_APP as REALTIMEKIT_APP
from tools.local.stack_file import ROOT as ROOT
from tools.local.stack_file import SCOPES as SCOPES
from tools.local.stack_file import StackError as StackError
from tools.local.stack_file import client as client
from tools.local.stack_file import folder as folder
from tools.local.stack_file import load as load
from tools.local.stack_file import make as make


def up(
    name: str = "default", port: int | None = None, *, concurrency: int | None = None, source: Path = ROOT
) -> dict[str, Any]:
    """Start a stack and deploy the checkout `source` into it. After a failure nothing stays running.

    `concurrency` is the account's limit of functions that run at once. Its default is the environment's
    LOCAL_CONCURRENCY; without both, the machine's memory is the limit.

    Raises:
        StackError: the stack is up already, a port is in use, or a process or the deployment failed
    """
    if sys.version_info[:2] != (3, 13):
        raise StackError(f"This is Python {platform.python_version()}: run with .venv/bin/python (`make setup`).")
    if (folder(name) / "stack.json").exists():
        if running(name):
            raise StackError(f"The local stack '{name}' is already up: `{make('down', name)}` first.")
        down(name)
    api_port = api_port_of(name, port)
    home = folder(name)
    # The build stays, because it makes the next one faster.
    for leftover in ("standin", "tmp"):
        shutil.rmtree(home / leftover, ignore_errors=True)
    for leftover in ("api_id", "stage.json", "access.log"):
        (home / leftover).unlink(missing_ok=True)
    (home / "tmp").mkdir(parents=True)
    given = os.environ.get("LOCAL_CONCURRENCY")
    limit_concurrency(name, concurrency if concurrency is not None else int(given) if given else None)
    aws_port = free_port(api_port)
    standin_port = free_port(api_port, aws_port)
    aws, standin = f"http://127.0.0.1:{aws_port}", f"http://127.0.0.1:{standin_port}"
    stack: dict[str, Any] = {
        "name": name,
        "api_url": f"http://127.0.0.1:{api_port}",
        "issuer": f"{standin}/issuer",
        "audience": AUDIENCE,
        "cloudflare_control_url": f"{standin}/_control",
        "cloudflare_api_url": f"{standin}/client/v4",
        "region": REGION,
        "credentials": {
            "aws": {"access_key_id": AWS_ACCOUNT, "secret_access_key": SECRET},
            "r2": {"access_key_id": R2_ACCOUNT, "secret_access_key": SECRET},
        },
        "endpoints": {"aws": aws, "r2": aws},
        "pids": {},
    }
    try:
        with progress.step("Start the emulator of AWS, the stand-in for Cloudflare and the gateway"):
            start_processes(stack, home, aws_port, standin_port, api_port)
        client(stack, "r2").create_bucket(Bucket=R2_BUCKET, CreateBucketConfiguration={"LocationConstraint": "auto"})
        stack["secrets"] = _make_secrets(stack)
        deploy_checkout(stack, source, {})
        register_webhook(stack)
    except BaseException:
        save(stack)
        down(name)
        raise
    return stack


def deploy(
    name: str = "default", *, source: Path = ROOT, parameters: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Deploy the checkout `source` into the running stack. The stack's data stays.

    `parameters` has other values for parameters of the template, until the next deployment.
    """
    stack = load(name)
    deploy_checkout(stack, source, parameters or {})
    return stack


def down(name: str = "default") -> None:
    """Stop every process of the stack.

    Raises:
        StackError: a port still accepts connections
    """
    path = folder(name) / "stack.json"
    if not path.exists():
        return
    stack = json.loads(path.read_text())
    for process, group in stack["pids"].items():
        with progress.step(f"Stop {process}"):
            stop_session(group)
    urls = [stack["api_url"], stack["endpoints"]["aws"], stack["issuer"]]
    ports = [int(url.split(":")[2].split("/")[0]) for url in urls]
    still = [port for port in ports if stack["pids"] and is_listening(port)]
    path.unlink()
    if name == "default":
        (ROOT / ".local" / "stack.json").unlink(missing_ok=True)
    shutil.rmtree(folder(name) / "tmp", ignore_errors=True)
    if still:
        raise StackError(f"Port {still[0]} still accepts connections. `ss -ltnp` shows the process.")


def status(name: str = "default") -> dict[str, Any]:
    """Return which of the stack's processes run. `up` is true if all of them do."""
    stack = load(name)
    running = {process: bool(members(group)) for process, group in stack["pids"].items()}
    return {"name": name, "up": bool(running) and all(running.values()), "api_url": stack["api_url"], **running}


def running(name: str = "default") -> dict[str, Any] | None:
    """Return the stack, or None unless all of its processes run."""
    return load(name) if (folder(name) / "stack.json").exists() and status(name)["up"] else None


def token(stack: dict[str, Any], tenant: str, scope: str = SCOPES, expires_in: int = 3600) -> str:
    """Return an access token of the local issuer."""
    body = {"tenant": tenant, "scope": scope, "audience": AUDIENCE, "expires_in": expires_in}
    return str(post(f"{stack['issuer']}/token", body)["access_token"])


def reset(name: str = "default") -> None:
    """Delete the running stack's data. The deployment stays."""
    stack = load(name)
    machines = client(stack, "stepfunctions")
    for machine in stack["state_machines"].values():
        for run in machines.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
            machines.stop_execution(executionArn=run["executionArn"])
    dynamo = client(stack, "dynamodb")
    for table in stack["tables"].values():
        keys = [key["AttributeName"] for key in dynamo.describe_table(TableName=table)["Table"]["KeySchema"]]
        for page in dynamo.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                dynamo.delete_item(TableName=table, Key={key: item[key] for key in keys})
    for label, bucket in stack["buckets"].items():
        _empty(client(stack, "r2" if label == "r2" else "s3"), bucket)
    post(f"{stack['cloudflare_control_url']}/reset", {})
    register_webhook(stack)


def invoke(name: str, function: str, event: bytes) -> Any:
    """Invoke a function, named by its logical id, and return its response."""
    stack = load(name)
    if function not in stack["functions"]:
        raise StackError(f"No function '{function}': there are {', '.join(sorted(stack['functions']))}.")
    response = client(stack, "lambda").invoke(FunctionName=stack["callable"][function], Payload=event)
    return json.loads(response["Payload"].read() or b"null")


def limit_concurrency(name: str, functions: int | None) -> int | None:
    """Limit how many functions of the stack run at once. None: the machine's memory is the limit.

    Returns the previous limit.
    """
    if functions is not None and functions < 1:
        raise StackError("At least one function must be able to run.")
    file = folder(name) / "concurrency"
    before = file.read_text() if file.exists() else ""
    file.write_text("" if functions is None else str(functions))
    return int(before) if before else None


def logs(name: str, function: str | None = None) -> list[str]:
    """Return the log lines of all functions or of one, oldest first."""
    stack = load(name)
    if function and function not in stack["functions"]:
        raise StackError(f"No function '{function}': there are {', '.join(sorted(stack['functions']))}.")
    wanted = stack["functions"][function] if function else ""
    events = []
    reader = client(stack, "logs")
    for group in reader.describe_log_groups()["logGroups"]:
        for at, stream, message in _log_events(reader, group["logGroupName"]):
            if wanted in f"{group['logGroupName']} {stream} {message}":
                events.append((at, f"{stream}  {message.rstrip()}"))
    return [line for _, line in sorted(events, key=lambda pair: pair[0])]


def _log_events(reader: Any, group: str) -> list[tuple[int, str, str]]:
    """Return time, stream and message of a group's events. The emulator returns 10,000 at most, and no next token."""
    found: dict[tuple[int, str, str], None] = {}
    start, known = 0, -1
    while len(found) > known:
        known = len(found)
        for event in reader.filter_log_events(logGroupName=group, startTime=start)["events"]:
            found[event["timestamp"], event.get("logStreamName", ""), event["message"]] = None
            start = event["timestamp"]
    return [*found]


def register_webhook(stack: dict[str, Any]) -> None:
    """Register the API's webhook at the stand-in, as an operator does at Cloudflare."""
    base = f"{stack['cloudflare_api_url']}/accounts/{CLOUDFLARE_ACCOUNT}/realtime/kit/{REALTIMEKIT_APP}/webhooks"
    url = f"{stack['api_url']}/webhooks/cloudflare"
    known = post(base, None).get("data") or []
    if any(hook.get("url") == url for hook in known):
        return
    post(base, {"name": "recordings", "url": url, "events": ["recording.statusUpdate"], "enabled": True})


def _make_secrets(stack: dict[str, Any]) -> dict[str, str]:
    secrets = client(stack, "secretsmanager")
    values = {"cloudflare": {"api_token": CLOUDFLARE_TOKEN}, "r2": stack["credentials"]["r2"]}
    return {
        kind: secrets.create_secret(Name=f"recordings/{stack['name']}/{kind}", SecretString=json.dumps(value))["ARN"]
        for kind, value in values.items()
    }


def _empty(s3: Any, bucket: str) -> None:
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
