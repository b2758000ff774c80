"""`python -m tools.bench.soak --minutes 10`: load with faults on a local stack; 0 when everything came true."""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from tools.bench.soak import report, rig
from tools.bench.soak.faults import Chooser
from tools.bench.soak.load import TIMEOUT_SECONDS, Tenant, Told, run
from tools.bench.soak.relay import FaultyRelay
from tools.bench.soak.settings import ROUND_SECONDS, Habits
from tools.bench.soak.verdict import Found, verdict
from tools.local import progress, stack

DOCUMENT = stack.PACKAGE_PARENT / "docs" / "soak.md"
MAX_MINUTES = 60


@dataclass(kw_only=True)
class Soaked:
    """A run: what happened in it, and what is there in the end."""

    chooser: Chooser
    relay: FaultyRelay
    reported: Told = field(default_factory=Told)
    habits: Habits | None = None
    killer: rig.Killer | None = None
    found: Found | None = None
    rounds: int = 0
    removed: Sequence[str] = ()
    trouble: list[str] = field(default_factory=list)


def a_client(running: dict[str, Any], tenant: str) -> httpx.Client:
    # It outlives the storm and the rest after it.
    token = stack.token(running, tenant, expires_in=6 * 3600)
    return httpx.Client(
        base_url=f"{running['api_url']}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_SECONDS,
    )


def soak(running: dict[str, Any], opened: ExitStack, *, seconds: float, tenants: int, seed: int) -> Soaked:
    """Load and faults for so long; then none, until everything is quiet; then look."""
    rig.stop_the_clock(running)
    chooser = Chooser(seed)
    relay = opened.enter_context(
        FaultyRelay(
            aws=running["endpoints"]["aws"],
            cloudflare=running["cloudflare_api_url"],
            functions=running["functions"],
            r2_bucket=running["buckets"]["r2"],
            chooser=chooser,
        )
    )
    soaked = Soaked(chooser=chooser, relay=relay)
    rig.lead_through(running, relay)
    control = opened.enter_context(httpx.Client(base_url=running["cloudflare_control_url"], timeout=60))
    everybody = [
        Tenant(name, opened.enter_context(a_client(running, name)), control, soaked.reported)
        for name in (f"tenant-{number}" for number in range(1, tenants + 1))
    ]
    for tenant in everybody:
        tenant.prepare()
    chooser.on = True
    with Habits(running["cloudflare_control_url"], seed) as habits, rig.Killer(running, relay, seed) as killer:
        soaked.habits, soaked.killer = habits, killer
        with rig.Syncs(running):
            run(everybody, seconds=seconds, seed=seed)
    chooser.on = False
    soaked.trouble += habits.trouble
    try:
        rig.finish_captures(control)
        soaked.rounds = rig.rest(running)
        soaked.removed = rig.repaired(running)
    except rig.SoakError as error:
        # What did not come to rest is what is to be looked at.
        soaked.trouble.append(str(error))
    rig.keep(running, control, relay, killer, stack.folder(running["name"]) / "soak.json")
    soaked.found = rig.found(running, everybody, soaked.reported, control)
    return soaked


def block(soaked: Soaked, *, minutes: float, seed: int) -> tuple[str, bool]:
    """The tables, and whether everything came true."""
    found = soaked.found
    assert found is not None
    assert soaked.habits is not None
    assert soaked.killer is not None
    wrong = verdict(replace(found, complaints=[*found.complaints, *soaked.trouble]))
    statuses = sorted(f"{one.status}{' (deleted)' if one.deleted else ''}" for one in found.recordings)
    counts = ", ".join(f"{statuses.count(name)} {name}" for name in dict.fromkeys(statuses))
    paragraphs: Sequence[Sequence[str]] = (
        [
            f"`make soak MINUTES={minutes:g} SEED={seed}`: {len(found.provider_recordings)} captures, "
            f"{len(found.recordings)} "
            f"recordings ({counts}), {sum(found.responses.values())} API calls, "
            f"{sum(soaked.chooser.seen.values())} calls outside, {sum(soaked.chooser.struck.values())} of them struck; "
            f"quiet after {soaked.rounds} rounds of sync."
        ],
        [*report.kills(soaked.killer.killed)],
        [f"Removed by the audit's repair: {len(soaked.removed)}.", *(f"* `{name}`" for name in soaked.removed)],
        [*report.verdicts(wrong)],
        ["What callers were told:"],
        [*report.reported(found.responses)],
        ["What the stand-in did by itself:"],
        [*report.of_the_standin(soaked.habits.struck, soaked.habits.rounds, ROUND_SECONDS)],
        [
            "What the relay did to the functions' calls. A column is a call, with how often it was made. A cell says "
            "how often the fault struck / how often the same function then made the call again and came through. What "
            "was not made again was left to the caller, the workflow or the sync. – is a fault that never struck."
        ],
        [*report.strikes(soaked.chooser.seen, soaked.chooser.struck, soaked.relay.repeated)],
    )
    return "\n\n".join("\n".join(lines) for lines in paragraphs), not any(wrong.values())


def main() -> int:
    """Run and print; 0 only when everything came true."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.bench.soak", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=10, help="how long the storm lasts (default: 10)")
    parser.add_argument("--tenants", type=int, default=3, help="how many tenants there are (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="of all dice (default: 1)")
    parser.add_argument("--name", default="soak", help="name of the local stack (default: soak)")
    parser.add_argument("--keep", action="store_true", help="leave the stack up afterwards")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{DOCUMENT.name}")
    args = parser.parse_args()
    if not 0 < args.minutes <= MAX_MINUTES or not 2 <= args.tenants <= 20:
        parser.error(f"--minutes must be above 0 and at most {MAX_MINUTES}, --tenants 2 to 20")
    began = time.monotonic()
    try:
        with ExitStack() as opened:
            with progress.shown():
                running = stack.up(args.name)
            if not args.keep:
                opened.callback(stack.down, args.name)
            soaked = soak(running, opened, seconds=args.minutes * 60, tenants=args.tenants, seed=args.seed)
    except (stack.StackError, rig.SoakError, httpx.HTTPError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    tables, came_true = block(soaked, minutes=args.minutes, seed=args.seed)
    print(tables)
    if args.write:
        report.written(DOCUMENT, tables)
    print(f"\nWhat is there and what struck: {stack.folder(args.name) / 'soak.json'}")
    print(f"{'Everything came true' if came_true else 'NOT everything came true'}, {time.monotonic() - began:.0f} s.")
    return 0 if came_true else 1


if __name__ == "__main__":
    sys.exit(main())
