import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from recordings_client import __main__
from recordings_client.cli import EPILOG, Exit, app, exit_code
from recordings_client.errors import DownloadFailed, NoAnswer, RecordingFailed, RecordingsError, UnexpectedAnswer
from tests.unit.client.support import LINK, NOON, RECORDING, ROOM, ROW, WAIT, Reply, Server, a_recording, data, problem
