"""The API's OpenAPI document: made of the template's routes, the functions' models and the answers written here."""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

# The layer is on the path in Lambda and in pytest; `python -m tools.openapi.generate` has to put it there itself.
if (layer := str(ROOT / "layers/recordings")) not in sys.path:
    sys.path.insert(0, layer)
