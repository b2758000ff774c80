"""Lambda's own filter of log lines, which the emulator lacks (Lambda Developer Guide, "Log-level filtering")."""

import json
from collections.abc import Mapping
from typing import Any, Final

ORDER: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
# Other names for these levels.
SAME: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}
DEFAULT: Final = "INFO"


def level_of(config: Mapping[str, Any]) -> str | None:
    """Return the lowest level that a function's log keeps; None for the text format, which is not filtered."""
    logging = config.get("LoggingConfig") or {}
    return str(logging.get("ApplicationLogLevel") or DEFAULT) if logging.get("LogFormat") == "JSON" else None


def told_its_level(config: dict[str, Any]) -> dict[str, Any]:
    """Return a function's configuration with Lambda's variables for the log level."""
    level = level_of(config)
    if level is None:
        return config
    variables = (config.get("Environment") or {}).get("Variables") or {}
    added = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level}
    return {**config, "Environment": {"Variables": {**variables, **added}}}


def shown(log: str, config: Mapping[str, Any]) -> str:
    """Return the lines of a function's log that Lambda keeps."""
    level = level_of(config)
    if level is None:
        return log
    return "\n".join(line for line in log.splitlines() if ORDER.index(_level(line)) >= ORDER.index(level))


def _level(line: str) -> str:
    """Return the level of a line. A line without a known level, such as a metric, counts as INFO."""
    try:
        entry = json.loads(line)
    except ValueError:
        return DEFAULT
    named = str(entry.get("level", DEFAULT)).upper() if isinstance(entry, dict) else DEFAULT
    named = SAME.get(named, named)
    return named if named in ORDER else DEFAULT
