"""Deployment of the real template into a local stack, with the SAM CLI."""

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tools.local import functions, progress
from tools.local import template as sam
from tools.local.processes import clean_environment
from tools.local.stack_file import (
    AUDIENCE,
    AWS_ACCOUNT,
    CLOUDFLARE_ACCOUNT,
    PACKAGE_PARENT,
    R2_BUCKET,
    REALTIMEKIT_APP,
    ROOT,
    SECRET,
    StackError,
    client,
    folder,
    save,
)
from tools.local.stage import describe


def parameters_of(stack: dict[str, Any], template: dict[str, Any]) -> dict[str, str]:
    """Return the parameters for the template of a local stack."""
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
        # The stand-in serves files over http on this machine. Functions fetch from no other host.
        "CaptureHosts": "127.0.0.1",
        "LoopbackCaptures": "on",
        # A purge needs a retention.
        "RetentionDays": "1",
        # The stand-in has no limit, unless a test sets one.
        "CloudflareCallsPerMinute": "20000",
        # The stand-in's state changes within seconds, and people and tests wait for the result.
        "SecondLookSeconds": "10",
        # Tests do not wait minutes for a changed key or for the next attempt at a file.
        "SecretTtlSeconds": "5",
        "AttemptPauseSeconds": "1",
        # Rare, so that a sync does not change what a person or a test reads. Tests start syncs themselves.
        "SyncSchedule": "rate(60 minutes)",
        # Cloudflare and all callers are on one machine.
        "ApiRequestsPerSecond": "1000",
        "ApiBurstRequests": "1000",
        "WebhookRequestsPerSecond": "500",
        "WebhookBurstRequests": "500",
        # Alarms notify nobody here, and the schedule may be off.
        "SyncOverdueSeconds": "0",
    }
    return {key: value for key, value in values.items() if key in template.get("Parameters", {})}


def deploy_checkout(stack: dict[str, Any], source: Path, changed: Mapping[str, str]) -> None:
    """Build and deploy the checkout `source`. `changed` has parameters with other values than usual."""
    template = sam.read(source / "template.yaml")
    home, parameters = folder(stack["name"]), parameters_of(stack, template) | dict(changed)
    with (ROOT / ".local" / "build.lock").open("w") as lock:
        # Builds of one checkout share .aws-sam, so stacks that come up at the same time build one after the other.
        with progress.step("Wait for the build of another stack of this checkout", announced=True):
            fcntl.flock(lock, fcntl.LOCK_EX)
        cache = ROOT / ".local" / "cache" if source == ROOT else home / "cache"
        # The SAM CLI finds what it built by a file beside the build, and deletes from the cache what this file lacks.
        # So the stacks of this checkout share the file as well.
        known, graph = cache / "build.toml", home / "build.toml"
        if known.exists():
            shutil.copyfile(known, graph)
        _sam(stack, "build", [
            "--parallel", "--cached", "--cache-dir", str(cache / "built"), "--build-dir", str(home / "build"),
            "--template-file", str(source / "template.yaml"), "--parameter-overrides", *_overrides(parameters),
        ])  # fmt: skip
        shutil.copyfile(graph, known)
    _deploy_built(stack, home / "build", template, parameters)
    for api_id in stack["apis"].values():
        (home / "stage.json").write_text(json.dumps(describe(client(stack, "apigatewayv2"), api_id)))
        (home / "api_id").write_text(api_id)
    save(stack)


def deploy_beside(stack: dict[str, Any], name: str, build: Path) -> dict[str, Any]:
    """Deploy a build, or a release's folder, under another name into the account and region of a running stack.

    The second stack has no processes and no webhook of its own. It ends with the first.
    """
    given = ("issuer", "audience", "cloudflare_api_url", "region", "credentials", "endpoints", "secrets")
    other = {key: stack[key] for key in given} | {"name": name}
    folder(name).mkdir(parents=True, exist_ok=True)
    template = sam.read(build / "template.yaml")
    _deploy_built(other, build, template, parameters_of(other, template))
    (api_id,) = other["apis"].values()
    other["api_url"] = f"{stack['endpoints']['aws']}/_aws/execute-api/{api_id}/$default"
    return other


def _deploy_built(stack: dict[str, Any], build: Path, template: dict[str, Any], parameters: Mapping[str, str]) -> None:
    """Deploy the build in `build`, and store the names of the resources in `stack`."""
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


def resources(stack: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the resources that CloudFormation created for a stack, each with logical id, physical id and type."""
    pages = client(stack, "cloudformation").get_paginator("list_stack_resources")
    return [
        resource
        for page in pages.paginate(StackName=f"recordings-{stack['name']}")
        for resource in page["StackResourceSummaries"]
    ]


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    # Without quotes, the SAM CLI cuts a value at its first space.
    return [f'{key}="{value}"' for key, value in parameters.items()]


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
    """Return the environment in which the SAM CLI reaches the stack's emulator, and no AWS account."""
    return clean_environment() | {
        "AWS_ENDPOINT_URL": stack["endpoints"]["aws"],
        "AWS_ACCESS_KEY_ID": AWS_ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": stack["region"],
        # Without the profiles of the user.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        # For the Makefiles of the layers.
        "ARCHITECTURE": _architecture(),
        "PYTHON": sys.executable,
    }


def _last_event(stack: dict[str, Any]) -> str | None:
    """Return the first failure that CloudFormation reports for the last deployment."""
    try:
        events = client(stack, "cloudformation").describe_stack_events(StackName=f"recordings-{stack['name']}")
    except ClientError:
        return None
    failed = [e for e in events["StackEvents"] if "FAILED" in e["ResourceStatus"] and e.get("ResourceStatusReason")]
    return f"{failed[0]['LogicalResourceId']}: {failed[0]['ResourceStatusReason']}" if failed else None


def _architecture() -> str:
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
