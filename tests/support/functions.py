"""The handlers of functions/, each loaded as Lambda loads it."""

import importlib.util
from typing import Any

from tests.support.template import ROOT


def handler_of(folder: str) -> Any:
    """The handler of `functions/<folder>/app.py`."""
    path = ROOT / "functions" / folder / "app.py"
    spec = importlib.util.spec_from_file_location(f"loaded_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler
