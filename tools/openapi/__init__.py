"""The API's OpenAPI document, generated from the template's routes and the functions' models."""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

# The layer is on the path in Lambda and in pytest. `python -m tools.openapi.generate` adds it itself.
if (layer := str(ROOT / "layers/recordings")) not in sys.path:
    sys.path.insert(0, layer)
