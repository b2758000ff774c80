"""What a page of recordings costs, from 1,000 recordings to 1,000,000, beside the plain way and beside PostgreSQL.

data      the recordings of one tenant over five years, from a seed
layouts   the items that they have in the table
cases     filters, and the pages that are read with them
handlers  our own functions, called in this process
measure   what the pages cost
plain     what they would cost without tallies
postgres  what they cost a database with indexes
report    tables, and the bars that must hold
charts    the curves
"""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]

# The layer is on the path in Lambda and in pytest. `python -m tools.bench.lists` adds it itself.
if (layer := str(ROOT / "layers/recordings")) not in sys.path:
    sys.path.insert(0, layer)
