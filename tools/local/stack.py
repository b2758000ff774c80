"""Starts, deploys, inspects and stops local stacks. One stack is a set of processes and a directory `.local/<name>`."""

import fcntl
import json
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tools.local import functions, progress
from tools.local import template as sam
from tools.local.stage import describe

PACKAGE_PARENT = Path(__file__).resolve().parents[2]
ROOT = Path(os.environ.get("RECORDINGS_ROOT", PACKAGE_PARENT)).resolve()
REGION = "us-east-1"
# The emulator takes a 12-digit access key for an account and `test` for its root's secret.
AWS_ACCOUNT, R2_ACCOUNT, SECRET = "000000000000", "222222222222", "test"
R2_BUCKET = "recordings"
CLOUDFLARE_ACCOUNT, REALTIMEKIT_APP = "0123456789abcdef0123456789abcdef", "local-app"
CLOUDFLARE_TOKEN = "local-cloudflare-token"
AUDIENCE = "recordings"
SCOPES = "recordings:read recordings:write recordings:adopt"
DEFAULT_PORT = 8787
# Dozens of functions that start at once on a small machine take longer than API Gateway's 30 s to begin. What they take
# then is bounded by their own time-out.
GATEWAY_SECONDS = 150
# Below those that systems give to outgoing connections.
PORTS = range(20_000, 32_000)


class StackError(Exception):
    """One clear line: what is wrong and what cures it."""


def make(target: str, name: str) -> str:
    """What to type for a target of the Makefile that is about the stack `name`."""
    return f"make {target}" if name == "default" else f"make {target} NAME={name}"


def folder(name: str) -> Path:
    """Where the stack keeps its state, logs and build."""
    return ROOT / ".local" / name


def load(name: str = "default") -> dict[str, Any]:
    """The running stack's addresses, names and process ids."""
    path = folder(name) / "stack.json"
    if not path.exists():
        raise StackError(f"No local stack '{name}' is up: start it with `{make('up', name)}`.")
    stack: dict[str, Any] = json.loads(path.read_text())
    return stack


def client(stack: dict[str, Any], service: str) -> Any:
    """A boto3 client for the stack's AWS account, or for its R2 account with service `r2`."""
    r2 = service == "r2"
    credentials = stack["credentials"]["r2" if r2 else "aws"]
    make: Any = boto3.client  # the name of the service is not known to the type checker
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
            # A part must have the checksum that its upload was begun with; boto3 adds one to each by default.
            request_checksum_calculation="when_required",
        ),
    )


def up(
    name: str = "default", port: int | None = None, *, concurrency: int | None = None, source: Path = ROOT
) -> dict[str, Any]:
    """Start a stack and deploy the checkout `source` into it. Whatever fails, nothing stays running.

    `concurrency` is the account's limit of functions that run at once. Without it the environment's LOCAL_CONCURRENCY
    counts; without that too, as many run as the machine has memory for.
    """
    if sys.version_info[:2] != (3, 13):
        raise StackError(f"This is Python {platform.python_version()}: run with .venv/bin/python (`make setup`).")
    if (folder(name) / "stack.json").exists():
        if running(name):
            raise StackError(f"The local stack '{name}' is already up: `{make('down', name)}` first.")
        down(name)
    api_port = _api_port(name, port)
    home = folder(name)
    # The build is kept: the next one is faster with it.
    for leftover in ("standin", "tmp"):
        shutil.rmtree(home / leftover, ignore_errors=True)
    for leftover in ("api_id", "stage.json", "access.log"):
        (home / leftover).unlink(missing_ok=True)
    (home / "tmp").mkdir(parents=True)
    given = os.environ.get("LOCAL_CONCURRENCY")
    limit_concurrency(name, concurrency if concurrency is not None else int(given) if given else None)
    aws_port = _free_port(api_port)
    standin_port = _free_port(api_port, aws_port)
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
            _start_processes(stack, home, aws_port, standin_port, api_port)
        client(stack, "r2").create_bucket(Bucket=R2_BUCKET, CreateBucketConfiguration={"LocationConstraint": "auto"})
        stack["secrets"] = _make_secrets(stack)
        _deploy(stack, source, {})
        register_webhook(stack)
    except BaseException:
        _save(stack)
        down(name)
        raise
    return stack


def deploy(
    name: str = "default", *, source: Path = ROOT, parameters: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Deploy the checkout `source`, as it is now, into the running stack; its data stays.

    `parameters` are other values for some of the template's parameters, until the next deployment.
    """
    stack = load(name)
    _deploy(stack, source, parameters or {})
    return stack


def deploy_beside(stack: dict[str, Any], name: str, build: Path) -> dict[str, Any]:
    """Deploy a build, or a release's folder, into the account and region of a running stack, under another name.

    The second stack has no processes and no webhook of its own; it ends with the first.
    """
    given = ("issuer", "audience", "cloudflare_api_url", "region", "credentials", "endpoints", "secrets")
    other = {key: stack[key] for key in given} | {"name": name}
    folder(name).mkdir(parents=True, exist_ok=True)
    template = sam.read(build / "template.yaml")
    _deploy_built(other, build, template, _parameters(other, template))
    (api_id,) = other["apis"].values()
    other["api_url"] = f"{stack['endpoints']['aws']}/_aws/execute-api/{api_id}/$default"
    return other


def resources(stack: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that CloudFormation made for a stack: logical id, physical id and type of each."""
    pages = client(stack, "cloudformation").get_paginator("list_stack_resources")
    return [
        resource
        for page in pages.paginate(StackName=f"recordings-{stack['name']}")
        for resource in page["StackResourceSummaries"]
    ]


def down(name: str = "default") -> None:
    """Stop every process of the stack and see that its ports are closed."""
    path = folder(name) / "stack.json"
    if not path.exists():
        return
    stack = json.loads(path.read_text())
    for process, group in stack["pids"].items():
        with progress.step(f"Stop {process}"):
            _stop_group(group)
    urls = [stack["api_url"], stack["endpoints"]["aws"], stack["issuer"]]
    ports = [int(url.split(":")[2].split("/")[0]) for url in urls]
    still = [port for port in ports if stack["pids"] and _answers(port)]
    path.unlink()
    if name == "default":
        (ROOT / ".local" / "stack.json").unlink(missing_ok=True)
    shutil.rmtree(folder(name) / "tmp", ignore_errors=True)
    if still:
        raise StackError(f"Port {still[0]} still answers after the stop: see which process holds it with `ss -ltnp`.")


def status(name: str = "default") -> dict[str, Any]:
    """Which of the stack's processes run; `up` when all do."""
    stack = load(name)
    running = {process: bool(members(group)) for process, group in stack["pids"].items()}
    return {"name": name, "up": bool(running) and all(running.values()), "api_url": stack["api_url"], **running}


def running(name: str = "default") -> dict[str, Any] | None:
    """The stack, if all of its processes run; else None."""
    return load(name) if (folder(name) / "stack.json").exists() and status(name)["up"] else None


def token(stack: dict[str, Any], tenant: str, scope: str = SCOPES, expires_in: int = 3600) -> str:
    """An access token of the local issuer."""
    body = {"tenant": tenant, "scope": scope, "audience": AUDIENCE, "expires_in": expires_in}
    return str(_post(f"{stack['issuer']}/token", body)["access_token"])


def reset(name: str = "default") -> None:
    """Wipe the running stack's data; what is deployed stays."""
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
    _post(f"{stack['cloudflare_control_url']}/reset", {})
    register_webhook(stack)


def invoke(name: str, function: str, event: bytes) -> Any:
    """Run one function, named by its logical id, and give its answer."""
    stack = load(name)
    if function not in stack["functions"]:
        raise StackError(f"No function '{function}': there are {', '.join(sorted(stack['functions']))}.")
    answer = client(stack, "lambda").invoke(FunctionName=stack["callable"][function], Payload=event)
    return json.loads(answer["Payload"].read() or b"null")


def limit_concurrency(name: str, functions: int | None) -> int | None:
    """Let so many functions of the stack run at once from now on; with None, as many as the machine has memory for.

    Gives the limit before.
    """
    if functions is not None and functions < 1:
        raise StackError("At least one function must be able to run.")
    file = folder(name) / "concurrency"
    before = file.read_text() if file.exists() else ""
    file.write_text("" if functions is None else str(functions))
    return int(before) if before else None


def logs(name: str, function: str | None = None) -> list[str]:
    """The functions' log lines (or one function's), oldest first."""
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
    """Time, stream and message of a group's events. The emulator gives the first 10,000 and no token for the next."""
    found: dict[tuple[int, str, str], None] = {}
    start, known = 0, -1
    while len(found) > known:
        known = len(found)
        for event in reader.filter_log_events(logGroupName=group, startTime=start)["events"]:
            found[event["timestamp"], event.get("logStreamName", ""), event["message"]] = None
            start = event["timestamp"]
    return [*found]


def register_webhook(stack: dict[str, Any]) -> None:
    """Have the stand-in send its webhooks to the API, as an operator would once at Cloudflare."""
    base = f"{stack['cloudflare_api_url']}/accounts/{CLOUDFLARE_ACCOUNT}/realtime/kit/{REALTIMEKIT_APP}/webhooks"
    url = f"{stack['api_url']}/webhooks/cloudflare"
    known = _post(base, None).get("data") or []
    if any(hook.get("url") == url for hook in known):
        return
    _post(base, {"name": "recordings", "url": url, "events": ["recording.statusUpdate"], "enabled": True})


def _start_processes(stack: dict[str, Any], home: Path, aws_port: int, standin_port: int, api_port: int) -> None:
    aws = stack["endpoints"]["aws"]
    python = [sys.executable, "-m"]
    _start(stack, "ministack", [*python, "tools.local.emulator"], {
        "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": str(aws_port), "IOT_MTLS_ENABLED": "0",
        "AUTH": "true", "TMPDIR": str(home / "tmp"), "MINISTACK_REGION": REGION,
        "LOCAL_CONCURRENCY_FILE": str(home / "concurrency"),
    })  # fmt: skip
    _start(stack, "standin", [
        *python, "tools.local.standin", "--port", str(standin_port), "--state-dir", str(home / "standin"),
        "--r2-endpoint", aws,
    ])  # fmt: skip
    _start(stack, "gateway", [
        *python, "tools.local.gateway", "--port", str(api_port), "--upstream", aws, "--home", str(home),
        "--seconds", str(GATEWAY_SECONDS),
    ])  # fmt: skip
    _await(stack, "ministack", f"{aws}/_ministack/health")
    _await(stack, "standin", f"{stack['cloudflare_api_url'].removesuffix('/client/v4')}/health")
    _await(stack, "gateway", stack["api_url"])


def _start(stack: dict[str, Any], process: str, command: list[str], more: dict[str, str] | None = None) -> None:
    env = _clean_env() | {"PYTHONPATH": str(PACKAGE_PARENT), "PYTHONUNBUFFERED": "1"} | (more or {})
    with (folder(stack["name"]) / f"{process}.log").open("wb") as log:
        # A session of its own: the whole group, workers too, is stopped by its id.
        child = subprocess.Popen(
            command, env=env, cwd=folder(stack["name"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    stack["pids"][process] = child.pid
    # The process outlives this object, which would warn of that.
    child.returncode = 0
    _save(stack)


def _await(stack: dict[str, Any], process: str, url: str, seconds: float = 120) -> None:
    log = folder(stack["name"]) / f"{process}.log"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not members(stack["pids"][process]):
            last = (log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"])[-1]
            raise StackError(f"{process} stopped at once ({last}): see {log}.")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.1)
    raise StackError(f"{process} did not answer within {seconds:.0f} s: see {log}.")


def _make_secrets(stack: dict[str, Any]) -> dict[str, str]:
    secrets = client(stack, "secretsmanager")
    values = {"cloudflare": {"api_token": CLOUDFLARE_TOKEN}, "r2": stack["credentials"]["r2"]}
    return {
        kind: secrets.create_secret(Name=f"recordings/{stack['name']}/{kind}", SecretString=json.dumps(value))["ARN"]
        for kind, value in values.items()
    }


def _parameters(stack: dict[str, Any], template: dict[str, Any]) -> dict[str, str]:
    values = {
        "Stage": "dev",
        "Architecture": _architecture(),
        "JwtIssuer": stack["issuer"],
        "JwtAudience": AUDIENCE,
        "CloudflareAccountId": CLOUDFLARE_ACCOUNT,
        "RealtimeKitAppId": REALTIMEKIT_APP,
        "CloudflareApiUrl": stack["cloudflare_api_url"],
        "CloudflareWebhookKeyUrl": f"{stack['issuer'].removesuffix('/issuer')}/.well-known/webhooks.json",
        "CloudflareSecretArn": stack["secrets"]["cloudflare"],
        "R2SecretArn": stack["secrets"]["r2"],
        "R2Endpoint": stack["endpoints"]["r2"],
        "R2Bucket": R2_BUCKET,
        # The stand-in serves files over http on this machine; no other host is fetched from.
        "CaptureHosts": "127.0.0.1",
        "LoopbackCaptures": "on",
        # So that a purge can be watched: it asks how long a deleted recording is kept.
        "RetentionDays": "1",
        # The stand-in has no limit but the one that a test sets.
        "CloudflareCallsPerMinute": "20000",
        # The stand-in's news is old within seconds, and a person or a test waits for what becomes of it.
        "SecondLookSeconds": "10",
        # Nobody waits for five minutes here, neither for a changed key
        "SecretTtlSeconds": "5",
        # nor for the next attempt at a file.
        "AttemptPauseSeconds": "1",
        # Seldom, so that it does not meet what a person or a test is just looking at; it can be started by hand.
        "SyncSchedule": "rate(60 minutes)",
        # One machine plays Cloudflare and all callers at once.
        "ApiRequestsPerSecond": "1000",
        "ApiBurstRequests": "1000",
        "WebhookRequestsPerSecond": "500",
        "WebhookBurstRequests": "500",
        # Nobody is told of an alarm here, and the schedule may be off.
        "SyncOverdueSeconds": "0",
    }
    return {key: value for key, value in values.items() if key in template.get("Parameters", {})}


def _deploy(stack: dict[str, Any], source: Path, changed: Mapping[str, str]) -> None:
    template = sam.read(source / "template.yaml")
    home, parameters = folder(stack["name"]), _parameters(stack, template) | dict(changed)
    with (ROOT / ".local" / "build.lock").open("w") as lock:
        # Builds of one checkout share .aws-sam: of stacks that come up at the same time one builds after the other.
        with progress.step("Wait for the build of another stack of this checkout", announced=True):
            fcntl.flock(lock, fcntl.LOCK_EX)
        _sam(stack, "build", [
            "--parallel", "--cached", "--cache-dir", str(ROOT / ".local" / "cache"), "--build-dir", str(home / "build"),
            "--template-file", str(source / "template.yaml"), "--parameter-overrides", *_overrides(parameters),
        ])  # fmt: skip
    _deploy_built(stack, home / "build", template, parameters)
    for api_id in stack["apis"].values():
        (home / "stage.json").write_text(json.dumps(describe(client(stack, "apigatewayv2"), api_id)))
        (home / "api_id").write_text(api_id)
    _save(stack)


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    # Without the quotes the SAM CLI takes a value to end at its first space.
    return [f'{key}="{value}"' for key, value in parameters.items()]


def _deploy_built(stack: dict[str, Any], build: Path, template: dict[str, Any], parameters: Mapping[str, str]) -> None:
    """Deploy what SAM has built in `build`, and tell `stack` the names of what is there now."""
    _sam(stack, "deploy", [
        "--template-file", str(build / "template.yaml"), "--stack-name", f"recordings-{stack['name']}",
        "--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset",
        "--region", stack["region"], "--parameter-overrides", *_overrides(parameters),
    ])  # fmt: skip
    made = resources(stack)
    physical = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in made}

    def of_type(kind: str) -> dict[str, str]:
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in made if r["ResourceType"] == kind}

    stack["functions"] = of_type("AWS::Lambda::Function")
    stack["callable"] = functions.callable_names(stack["functions"], physical)
    stack["tables"] = of_type("AWS::DynamoDB::Table")
    stack["state_machines"] = of_type("AWS::StepFunctions::StateMachine")
    stack["buckets"] = of_type("AWS::S3::Bucket") | {"r2": R2_BUCKET}
    stack["apis"] = of_type("AWS::ApiGatewayV2::Api")
    values = sam.defaults(template) | dict(parameters)
    with progress.step("Set up what the emulator leaves out of the template"):
        sam.apply_api(template, physical | stack["callable"], values, client(stack, "apigatewayv2"))
        sam.apply_buckets(template, physical, values, client(stack, "s3"))


def _sam(stack: dict[str, Any], command: str, arguments: list[str]) -> None:
    tool = next((p for p in (ROOT / ".tools/sam/bin/sam", PACKAGE_PARENT / ".tools/sam/bin/sam") if p.exists()), None)
    if tool is None:
        raise StackError("SAM CLI is missing: run `make setup`.")
    home = folder(stack["name"])
    log = home / f"sam-{command}.log"
    what = {"build": "Build the layers and functions", "deploy": "Deploy the template"}[command]
    with log.open("wb") as out, progress.step(what, lambda: progress.last_line(log)):
        code = subprocess.run(
            [str(tool), command, *arguments],
            cwd=ROOT, env=sam_environment(stack), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        ).returncode  # fmt: skip
    if code:
        reason = _last_event(stack) if command == "deploy" else None
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise StackError(f"`sam {command}` failed: {reason or (lines or ['it wrote nothing'])[-1].strip()} See {log}.")


def sam_environment(stack: dict[str, Any]) -> dict[str, str]:
    """The variables with which the SAM CLI talks to a stack's emulator, and to nobody else."""
    return _clean_env() | {
        "AWS_ENDPOINT_URL": stack["endpoints"]["aws"],
        "AWS_ACCESS_KEY_ID": AWS_ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": stack["region"],
        # No profile of the person at this machine may have a say.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        # For the layers' Makefiles.
        "ARCHITECTURE": _architecture(),
        "PYTHON": sys.executable,
    }


def _last_event(stack: dict[str, Any]) -> str | None:
    """Why CloudFormation gave up: the first failure it lists for the last run."""
    try:
        events = client(stack, "cloudformation").describe_stack_events(StackName=f"recordings-{stack['name']}")
    except ClientError:
        return None
    failed = [e for e in events["StackEvents"] if "FAILED" in e["ResourceStatus"] and e.get("ResourceStatusReason")]
    return f"{failed[0]['LogicalResourceId']}: {failed[0]['ResourceStatusReason']}" if failed else None


def _architecture() -> str:
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"


def _clean_env() -> dict[str, str]:
    """The environment without what points at a real account or steers the emulator or the functions, as tests do."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MINISTACK_", "LAMBDA_", "POWERTOOLS_"))}


def _save(stack: dict[str, Any]) -> None:
    text = json.dumps(stack, indent=2) + "\n"
    (folder(stack["name"]) / "stack.json").write_text(text)
    if stack["name"] == "default":
        (ROOT / ".local" / "stack.json").write_text(text)


def _post(url: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """POST `body` as JSON, or GET without one; the answer as JSON."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {CLOUDFLARE_TOKEN}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.loads(answer.read() or b"{}") or {})
    except urllib.error.HTTPError as error:
        raise StackError(f"The stand-in answered {error.code} to {url}: {error.read().decode()[:200]}") from None
    except OSError as error:
        raise StackError(f"{url} cannot be reached ({error}): is the stack up? `make up` starts one.") from None


def _api_port(name: str, port: int | None) -> int:
    if port is not None:
        if not _is_free(port):
            raise StackError(f"Port {port} is taken: stop what holds it, or give another one with --port.")
        return port
    return DEFAULT_PORT if name == "default" and _is_free(DEFAULT_PORT) else _free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(*others: int) -> int:
    """One that no outgoing connection is given in the time until a process listens there, and none of the others."""
    drawn = random.SystemRandom().sample(PORTS, len(PORTS))
    return next(port for port in drawn if port not in others and _is_free(port))


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def members(session: int) -> list[int]:
    """The living processes of the session that `session` leads; a worker may have left its group, not the session."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,sess=,pgid=,stat="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [int(r[0]) for r in rows if str(session) in (r[1], r[2]) and not r[3].startswith("Z")]


def _stop_group(session: int) -> None:
    for sent, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for pid in members(session):
            try:
                os.kill(pid, sent)
            except ProcessLookupError:
                pass
        end = time.monotonic() + seconds
        while members(session) and time.monotonic() < end:
            time.sleep(0.05)


def _empty(s3: Any, bucket: str) -> None:
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
