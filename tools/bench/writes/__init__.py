"""What changes of recordings write, and how often they meet each other.

units      write units of each change, in the states of the layout
conflicts  DynamoDB's conflict rule as a model, and loads on it
run        prints both
"""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]

# The layer is on the path in Lambda and in pytest. `python -m tools.bench.writes` adds it itself.
sys.path.insert(0, str(ROOT / "layers/recordings"))
