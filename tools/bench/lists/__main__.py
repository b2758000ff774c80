"""`make bench-list`: see tools/bench/lists/__init__.py."""

import os
import sys

from tools.bench.lists import ROOT
from tools.environment import sample_environment
from tools.local import template as sam

template = sam.read(ROOT / "template.yaml")
for function in ("ListRecordings", "GetRecording"):
    os.environ |= sample_environment(template, template["Resources"][function]["Properties"])
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
}

# The functions read the environment when they are imported.
from tools.bench.lists.run import main  # noqa: E402

sys.exit(main())
