"""Garbage collection and warnings around a function's imports.

A cold start allocates tens of thousands of objects that all stay. Each collection during it would visit them and free
nothing, which is a twentieth of its time. So the first import of this package on Lambda pauses collection, and the
frames of the functions (`@endpoint`, `@task`) resume it when the handler is made, before the first request.
"""

import gc
import warnings

from recordings import settings
from recordings.compiled_dataclasses import use_compiled_dataclasses


def prepare_imports_on_lambda() -> None:
    """Turn garbage collection off if this process is a Lambda function; anything else keeps its own settings.

    The layer leaves out charset_normalizer, with which requests guesses the encoding of a text. No function reads a
    response as text. Without the filter, each cold start would log that the package is missing.
    """
    if settings.is_lambda():
        gc.disable()
        use_compiled_dataclasses()
        warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")


def resume_collection() -> None:
    """Turn garbage collection on again if it is off. Later collections skip what the imports left in memory."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
