"""What ends a benchmark."""


class BenchError(Exception):
    """One clear line: what is wrong and what cures it."""


class Failed(Exception):
    """What was called in the engine's process raised; `kind` is the class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
