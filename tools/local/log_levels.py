"""Lambda's own filter of log lines, which the emulator lacks (Lambda Developer Guide, "Log-level filtering")."""

import json
from collections.abc import Mapping
from typing import Any, Final

ORDER: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
# Other names of the same levels.
SAME: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}
DEFAULT: Final = "INFO"


def level_of(config: Mapping[str, Any]) -> str | None:
    """The least level that reaches the log of a function; None for the text format, which is not filtered."""
    logging = config.get("LoggingConfig") or {}
    return str(logging.get("ApplicationLogLevel") or DEFAULT) if logging.get("LogFormat") == "JSON" else None


def told_its_level(config: dict[str, Any]) -> dict[str, Any]:
    """A function's configuration with the variables by which Lambda tells it what reaches the log."""
    level = level_of(config)
    if level is None:
        return config
    variables = (config.get("Environment") or {}).get("Variables") or {}
    added = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level}
    return {**config, "Environment": {"Variables": {**variables, **added}}}


def shown(log: str, config: Mapping[str, Any]) -> str:
    """The lines of a function's log that Lambda hands on."""
    level = level_of(config)
    if level is None:
        return log
    return "\n".join(line for line in log.splitlines() if ORDER.index(_level(line)) >= ORDER.index(level))


def _level(line: str) -> str:
    """The level of a line. One without a level, as metrics are, or with an unknown one, counts as INFO."""
    try:
        told = json.loads(line)
    except ValueError:
        return DEFAULT
    named = str(told.get("level", DEFAULT)).upper() if isinstance(told, dict) else DEFAULT
    named = SAME.get(named, named)
    return named if named in ORDER else DEFAULT
