"""Runs `python -m tools.bench.transfer`."""

import sys

from tools.bench.transfer import main

if __name__ == "__main__":
    sys.exit(main())
