"""Time-outs of functions on a local stack.

A machine that also runs the emulator, the stand-in and the tests gives a function less CPU than Lambda does. At the
time-outs of the template it would kill functions that are slow only for this reason.
"""

from typing import Any, Final

from ministack.core import lambda_runtime

FACTOR: Final = 4
# The emulator's default for a function without `Timeout`, which is Lambda's too.
DEFAULT_SECONDS: Final = 3
# Where a worker's configuration keeps the template's time-out. No field of Lambda has this name.
OWN: Final = "OwnTimeout"

_spawn = lambda_runtime.Worker._spawn


def with_longer_timeout(config: dict[str, Any]) -> dict[str, Any]:
    """Return a function's configuration with which the emulator kills it after FACTOR times its time-out."""
    seconds = int(config.get("Timeout", DEFAULT_SECONDS))
    return {**config, "Timeout": FACTOR * seconds, OWN: seconds}


def spawn(worker: lambda_runtime.Worker) -> None:
    """Start a worker's process. Its context counts down from its own time-out, so it plans its time as on Lambda."""
    longer = worker.config
    worker.config = {**longer, "Timeout": longer.get(OWN, longer.get("Timeout", DEFAULT_SECONDS))}
    try:
        _spawn(worker)
    finally:
        worker.config = longer


def install() -> None:
    """Put `spawn` in the emulator's place."""
    lambda_runtime.Worker._spawn = spawn
