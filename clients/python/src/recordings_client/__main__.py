"""Start the command line, or print what it needs."""

import sys


def main() -> None:
    try:
        from recordings_client.cli import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        # The requirements of the extra `cli`. A test compares them.
        print("The command line needs more: pip install 'typer>=0.20' 'rich>=13'", file=sys.stderr)
        raise SystemExit(2) from None
    app()


if __name__ == "__main__":
    main()
