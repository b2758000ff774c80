"""The processes in which the emulator runs functions."""

import re
from pathlib import Path

# The emulator's name for the folder of a process: its function's name, and eight characters of chance.
FOLDER = re.compile(r"/ministack-lambda-(?P<function>[^/]+)-[^/-]{8}/code$")


def function_of(pid: int) -> str | None:
    """Return the name in AWS of the function that a process runs, or None if it runs none or has ended.

    A process works in its function's folder. Its environment in /proc is that of the process it was forked from.
    """
    try:
        found = FOLDER.search(str(Path(f"/proc/{pid}/cwd").readlink()))
    except OSError:
        return None
    return found["function"] if found else None
