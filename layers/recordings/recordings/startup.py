"""Garbage collection around a function's imports.

A cold start allocates tens of thousands of objects that all stay. Each collection during it would visit them and free
nothing, which is a twentieth of its time. So the first import of this package on Lambda pauses collection, and the
frames of the functions (`@endpoint`, `@task`) resume it when the handler is made, before the first request.
"""

import gc

from recordings import settings


def pause_collection_on_lambda() -> None:
    """Turn garbage collection off if this process is a Lambda function; anything else keeps its own setting."""
    if settings.is_lambda():
        gc.disable()


def resume_collection() -> None:
    """Turn garbage collection on again if it is off. Later collections skip what the imports left in memory."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
