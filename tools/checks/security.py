"""Checkov over the expanded template, in its own environment: it pins libraries in versions of its own."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.checks.faults import Fault


class Checkov:
    """A run of checkov, which takes seconds: start it, do something else, and ask for what it found."""

    def __init__(self, python: Path, template: Path) -> None:
        self._process = subprocess.Popen(
            [
                python, "-m", "checkov.main", "--file", template, "--framework", "cloudformation", "--output", "json",
                "--quiet", "--compact", "--soft-fail", "--skip-download",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Nobody at this machine configures the gate, and nothing is sent anywhere.
            env={
                "PATH": os.environ["PATH"], "HOME": str(template.parent), "LOG_LEVEL": "ERROR",
                "CKV_IGNORE_HIDDEN_DIRECTORIES": "false", "BC_SKIP_MAPPING": "TRUE",
            },
            cwd=template.parent,
        )  # fmt: skip

    def faults(self) -> Iterator[Fault]:
        """What it found. Raises RuntimeError when it did not check the template."""
        told, log = self._process.communicate()
        try:
            report = json.loads(told)
            summary, failed = report["summary"], report["results"]["failed_checks"]
        except (ValueError, KeyError, TypeError) as error:
            raise RuntimeError(f"checkov failed: {(log or told)[-2000:]}") from error
        if summary["parsing_errors"] or not summary["passed"]:
            raise RuntimeError(f"checkov read nothing: {summary}")
        for check in failed:
            kind, _, logical_id = check["resource"].rpartition(".")
            yield Fault("checkov", check["check_id"], logical_id, kind, check["check_name"])

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
