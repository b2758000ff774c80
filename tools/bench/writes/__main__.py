"""What changes of recordings write, and how often they meet each other: `python -m tools.bench.writes`."""

import os

# The adapters read the environment when they are imported.
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "TABLE_NAME": "bench",
}

from tools.bench.writes.run import main

main()
