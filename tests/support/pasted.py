"""A shell that a reader's commands are pasted into: what it is given, what it did, and what of it went wrong."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.documented import Block
from tests.support.template import ROOT

# All other targets of the Makefile are only checked, with `make -n`, and their variables against it: they take minutes,
# write what is pinned, stop or redeploy the shared stack, or call Cloudflare. `demo` would bring up a stack of its own
# for a minute; test_main_job.py lives the same life on the shared one.
RUN_TARGETS = frozenset({"help", "up", "invoke", "audit"})
TARGETS = frozenset(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# An exit status that is no failure: findings of an audit.
EXPECTED = {("./recordings-admin", 3)}
# For all blocks of a page, on a machine under load.
SECONDS = 600

MAKE = """\
#!{python}
import os, re, subprocess, sys
words = sys.argv[1:]
targets = [word for word in words if "=" not in word and not word.startswith("-")]
if not set(targets) & set({checked!r}):
    os.execv({make!r}, ["make", *words])
variables = [word.partition("=")[0] for word in words if "=" in word]
empty = [word for word in words if word.endswith("=")]
makefile = open("Makefile").read()
unknown = [name for name in variables if not re.search(r"\\$\\([^)]*\\b" + name + r"\\b", makefile)]
print("::checked make " + " ".join(targets), file=sys.stderr, flush=True)
if unknown or empty:
    sys.exit(f"make: no target takes {{unknown}}; empty are {{empty}}")
sys.exit(subprocess.run([{make!r}, "-n", *words], stdout=subprocess.DEVNULL).returncode)
"""
# The SAM CLI reads the command line, and does nothing.
SAM = """\
#!{python}
import sys
from samcli.cli.main import cli
print("::checked sam " + " ".join(sys.argv[1:2]), file=sys.stderr, flush=True)
context = cli.make_context("sam", sys.argv[1:])
while rest := [*context.protected_args, *context.args]:
    if not hasattr(context.command, "resolve_command"):
        break
    name, command, rest = context.command.resolve_command(context, rest)
    context = command.make_context(name, rest, parent=context)
"""
# What git does not hold; `make setup` has made some of it, which is linked.
NOT_COPIED = (
    ".git",
    ".venv",
    ".tools",
    ".local",
    ".aws-sam",
    ".*_cache",
    ".hypothesis",
    "__pycache__",
    "node_modules",
    "dist",
)
FILES = {("docs/deploy.md", "api_token"): "cloudflare.json", ("docs/deploy.md", "access_key_id"): "r2.json"}


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout, after `make setup`, with the running stack as its local stack `default`."""

    folder: Path
    tools: Path
    home: Path
    aws: Mapping[str, str]

    @classmethod
    def of(cls, running: Mapping[str, Any], folder: Path) -> "Checkout":
        """Copy this checkout into `folder`."""
        copy, tools, home = folder / "recordings", folder / "bin", folder / "home"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        for made in (
            ".venv",
            "tools/node/node_modules",
            *(f".tools/{tool.name}" for tool in (ROOT / ".tools").iterdir()),
        ):
            (copy / made).parent.mkdir(exist_ok=True)
            (copy / made).symlink_to(ROOT / made)
        (copy / ".tools/sam").unlink()
        (copy / ".tools/sam/bin").mkdir(parents=True)
        (copy / ".local").mkdir()
        for name in ("default", running["name"]):
            (copy / ".local" / name).symlink_to(ROOT / ".local" / running["name"])
        (copy / ".local/stack.json").symlink_to(ROOT / ".local" / running["name"] / "stack.json")
        release(copy / "dist/recordings-1.2.3-arm64")
        tools.mkdir()
        home.mkdir()
        make = shutil.which("make")
        sam_python = str(ROOT / ".tools/sam/bin/python")
        _program(tools / "make", MAKE.format(python=sys.executable, make=make, checked=sorted(TARGETS - RUN_TARGETS)))
        _program(copy / ".tools/sam/bin/sam", SAM.format(python=sam_python))
        # The reader's own installation of the AWS CLI, which the page asks for.
        (tools / "aws").symlink_to(ROOT / ".tools/sam/bin/aws")
        # Every answer of an API leaves a line; a refusal must be one that the block announces.
        (home / ".curlrc").write_text('write-out = "%{stderr}\\n::http %{http_code} %{method} %{url_effective}\\n"\n')
        aws = {
            "AWS_ENDPOINT_URL": running["endpoints"]["aws"],
            "AWS_ACCESS_KEY_ID": running["credentials"]["aws"]["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": running["credentials"]["aws"]["secret_access_key"],
            "AWS_DEFAULT_REGION": running["region"],
        }
        return cls(copy, tools, home, aws)

    def file_of(self, page: str, block: Block) -> Path | None:
        """The file that the page has the reader write with this block."""
        return next(
            (
                self.folder / name
                for (where, word), name in FILES.items()
                if where == page and f'"{word}"' in block.text
            ),
            None,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a login gives: nothing but where programs are, and a home."""
        python = Path(sys.base_prefix) / "bin"
        return {"PATH": f"{self.tools}:{python}:/usr/local/bin:{os.defpath}", "HOME": str(self.home)}


def release(folder: Path) -> None:
    """The least of a release that a reader has fetched: a template, and the sum of it."""
    folder.mkdir(parents=True)
    template = shutil.copy2(ROOT / "template.yaml", folder)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(Path(template).read_bytes()).hexdigest()}  template.yaml\n")


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@dataclass
class Outcome:
    """What a session did."""

    output: str
    reached: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    # Block, status, call.
    http: list[tuple[str, int, str]] = field(default_factory=list)


class Session:
    """One shell. Unlike a person's it stops at a variable that nobody has set; like it, it goes on after a failure."""

    def __init__(self, checkout: Checkout, *, cwd: Path | None = None) -> None:
        self._checkout, self._cwd = checkout, cwd or checkout.folder
        self.pasted: list[tuple[str, str, str, bool]] = []

    @property
    def labels(self) -> list[str]:
        return [label for label, *_ in self.pasted]

    def add(self, label: str, language: str, text: str, *, emulated: bool) -> None:
        """Paste a block next; `emulated` with credentials and address of the emulator in the environment."""
        self.pasted.append((label, language, text, emulated))

    def paste(self) -> Outcome:
        """Run all of it, and say what came of it."""
        script = ["set -uE -o pipefail", """trap 'printf "::failed %s %s\\n" $? "$BASH_COMMAND" >&2' ERR"""]
        for label, language, text, emulated in self.pasted:
            script.append(f"echo '::block {label}' >&2")
            if emulated:
                script += [f"export {name}={shlex.quote(value)}" for name, value in self._checkout.aws.items()]
            script.append(text if language == "bash" else f"python3 - <<'END OF BLOCK'\n{text}\nEND OF BLOCK")
            if emulated:
                script.append(f"unset {' '.join(self._checkout.aws)}")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc"],
            input="\n".join(script) + "\n",
            env=self._checkout.environment,
            cwd=self._cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        return read(done.stdout)


def read(output: str) -> Outcome:
    """Take a session's lines apart."""
    outcome = Outcome(output)
    block, said = "", list[str]()
    for line in output.splitlines():
        match line.split(" ", 2):
            case ["::block", *label]:
                block, said = " ".join(label), []
                outcome.reached.append(block)
            case ["::failed", code, command]:
                if (command.split()[0], int(code)) not in EXPECTED:
                    outcome.failures.append(f"{block}: `{command}` ended with {code}: {' / '.join(said[-6:])}")
            case ["::checked", *words]:
                outcome.checked.append(" ".join(words))
            case ["::http", status, call]:
                outcome.http.append((block, int(status), call))
            case _:
                said.append(line)
                if "unbound variable" in line:
                    outcome.failures.append(f"{block}: {line}")
    return outcome


def refusals_without_word(outcome: Outcome, texts: Mapping[str, str]) -> list[str]:
    """Calls that an API refused though their block does not say so: it must name the status."""
    return [
        f"{block}: {status} {call}"
        for block, status, call in outcome.http
        if status >= 400 and not re.search(rf"\b{status}\b", texts[block])
    ]
