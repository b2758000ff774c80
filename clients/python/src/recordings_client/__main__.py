"""Starts the command line, or says what it needs."""

import sys


def main() -> None:
    try:
        from recordings_client.cli import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        # What the extra `cli` asks for; a test compares them.
        print("The command line needs more: pip install 'typer>=0.20' 'rich>=13'", file=sys.stderr)
        raise SystemExit(2) from None
    app()


if __name__ == "__main__":
    main()
