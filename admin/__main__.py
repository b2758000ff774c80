"""Run one command of `recordings-admin`."""

import sys

from admin.cli import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
