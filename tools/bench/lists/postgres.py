"""The same pages from PostgreSQL: OFFSET and LIMIT beside count(*), with an index for each filter.

The server is Debian's package. It runs for the time of the measurement, in a folder of its own, on a Unix socket.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tools.bench.lists.cases import LIMIT, Case
from tools.bench.lists.data import NONE, Dataset

DEBIAN_FOLDER: Final = Path("/usr/lib/postgresql")
BLOCK_BYTES: Final = 8192
# Of PostgreSQL's own system user, if this process is root's: the server refuses to run as root.
SERVER_USER: Final = "postgres"
TIMEOUT_SECONDS: Final = 600
SCHEMA: Final = """
CREATE TABLE recordings (
    id text NOT NULL, room_id text NOT NULL, status text NOT NULL, created_at timestamptz NOT NULL,
    duration_seconds int, size_bytes bigint
);
"""
# Each holds all that a list shows, so that a page needs no row of the table.
INDEXES: Final = """
CREATE UNIQUE INDEX by_time ON recordings (created_at DESC, id DESC)
    INCLUDE (room_id, status, duration_seconds, size_bytes);
CREATE INDEX by_room ON recordings (room_id, created_at DESC, id DESC)
    INCLUDE (status, duration_seconds, size_bytes);
CREATE INDEX by_status ON recordings (status, created_at DESC, id DESC)
    INCLUDE (room_id, duration_seconds, size_bytes);
CREATE INDEX by_room_and_status ON recordings (room_id, status, created_at DESC, id DESC)
    INCLUDE (duration_seconds, size_bytes);
VACUUM (ANALYZE) recordings;
"""


class PostgresMissing(Exception):
    """No server is installed here."""


@dataclass(frozen=True, slots=True)
class StatementCost:
    """8 KB pages of tables and indexes that a statement used, in memory or not, and its time by the server's clock."""

    pages: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class QueryCost:
    """A page by OFFSET and LIMIT, with its count(*)."""

    offset: int
    pages: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class PostgresCost:
    case: Case
    queries: Sequence[QueryCost]

    @property
    def worst_pages(self) -> int:
        return max(one.pages for one in self.queries)

    @property
    def worst_milliseconds(self) -> float:
        return max(one.milliseconds for one in self.queries)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `socket` is the folder of its socket."""

    socket: Path
    programs: Path

    def run(self, script: str) -> str:
        """Run statements in one session and return what they print.

        Raises:
            subprocess.CalledProcessError: a statement failed
        """
        command = self._command("-f", "-")
        done = subprocess.run(
            command, input=script, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
        )
        return done.stdout

    def load(self, dataset: Dataset) -> None:
        """Store the dataset, and index it."""
        self.run(SCHEMA)
        command = self._command("-c", "COPY recordings FROM STDIN")
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as loading:
            assert loading.stdin is not None
            _write(dataset, loading.stdin)
            loading.stdin.close()
            if loading.wait(TIMEOUT_SECONDS):
                raise subprocess.CalledProcessError(loading.returncode, command)
        self.run(INDEXES)

    def measure(self, case: Case, wanted: Sequence[int]) -> PostgresCost:
        """Measure the pages of a filter at these offsets. The count is measured once: it is the same for every page."""
        where = conditions(case)
        count = f"SELECT count(*) FROM recordings WHERE {where}"
        pages = [
            f"SELECT id, room_id, status, created_at, duration_seconds, size_bytes FROM recordings WHERE {where}"
            f" ORDER BY created_at DESC, id DESC LIMIT {LIMIT} OFFSET {offset}"
            for offset in wanted
        ]
        counted, *read = self._explain([count, *pages])
        return PostgresCost(
            case,
            [
                QueryCost(offset, counted.pages + one.pages, counted.milliseconds + one.milliseconds)
                for offset, one in zip(wanted, read, strict=True)
            ],
        )

    def counts(self, cases: Sequence[Case]) -> list[int]:
        """Return what each filter selects."""
        script = "".join(f"SELECT count(*) FROM recordings WHERE {conditions(case)};\n" for case in cases)
        return [int(line) for line in self.run(script).split()]

    def _explain(self, statements: Sequence[str]) -> list[StatementCost]:
        # The first statement of a session also reads the catalogue, so it is sent twice.
        wanted = (f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {one};\n" for one in (statements[0], *statements))
        return statement_costs(self.run("".join(wanted)))[1:]

    def _command(self, *options: str) -> list[str]:
        program = shutil.which("psql") or str(self.programs / "psql")
        quiet = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
        return [program, *quiet, "-h", str(self.socket), "-U", SERVER_USER, "-d", "postgres", *options]


def programs(*, debian: Path = DEBIAN_FOLDER) -> Path:
    """Return the folder of the server's programs.

    Raises:
        PostgresMissing: there is none
    """
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    # Debian's package keeps them out of the path, one folder for each version.
    folders += sorted(debian.glob("*/bin"), reverse=True)
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    raise PostgresMissing(
        "PostgreSQL is missing: `apt-get install -y postgresql`, or POSTGRES=off to leave it out of the comparison."
    )


def version() -> str:
    """Return the server's name and version."""
    done = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def running() -> Iterator[Server]:
    """Run a server for the block. Nothing of it is left behind.

    Raises:
        PostgresMissing: none is installed
        subprocess.SubprocessError: it does not start
    """
    folder = programs()
    user = SERVER_USER if os.geteuid() == 0 else None
    # A socket's path has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="bench-list-", dir="/tmp") as place:
        root = Path(place)
        if user is not None:
            os.chown(root, pwd.getpwnam(user).pw_uid, -1)
        identity: Mapping[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        data = root / "data"
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", SERVER_USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, cwd=root, timeout=TIMEOUT_SECONDS, **identity,
        )  # fmt: skip
        settings = {
            "listen_addresses": "", "unix_socket_directories": str(root), "fsync": "off", "shared_buffers": "1GB",
            "max_wal_size": "4GB", "work_mem": "64MB", "autovacuum": "off", "jit": "off",
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen(
            [folder / "postgres", "-D", data, *options],
            cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **identity,
        )  # fmt: skip
        try:
            _wait_for(folder, root, server)
            yield Server(root, folder)
        finally:
            # SIGINT ends the sessions; SIGTERM would wait for them.
            server.send_signal(signal.SIGINT)
            server.wait(60)


def _wait_for(folder: Path, socket: Path, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server accepts connections."""
    wait = [shutil.which("pg_isready") or folder / "pg_isready", "-q", "-h", socket, "-t", "1"]
    for _ in range(600):
        if server.poll() is not None:
            raise subprocess.SubprocessError(f"PostgreSQL ended with {server.returncode}")
        if subprocess.run(wait, check=False).returncode == 0:
            return
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    raise subprocess.SubprocessError("PostgreSQL does not accept connections")


def _write(dataset: Dataset, out: IO[str]) -> None:
    for at, recording_id in enumerate(dataset.ids):
        values: Sequence[object] = (
            recording_id, dataset.room_id(at), dataset.status(at).value, dataset.created_at(at).isoformat(),
            _null(dataset.durations[at]), _null(dataset.sizes[at]),
        )  # fmt: skip
        out.write("\t".join(map(str, values)) + "\n")


def _null(number: int) -> object:
    return r"\N" if number == NONE else number


def conditions(case: Case) -> str:
    """Return the filter in SQL. Its values are this program's own."""
    found = []
    if case.room_id is not None:
        found.append(f"room_id = '{case.room_id}'")
    if case.statuses:
        found.append(f"status IN ({', '.join(f"'{one.value}'" for one in case.statuses)})")
    if case.after is not None:
        found.append(f"created_at > '{case.after.isoformat()}'")
    if case.before is not None:
        found.append(f"created_at < '{case.before.isoformat()}'")
    return " AND ".join(found) or "true"


def statement_costs(text: str) -> list[StatementCost]:
    """Return the costs in plans of EXPLAIN, JSON documents that stand one after another."""
    decoder, rest, found = json.JSONDecoder(), text.strip(), []
    while rest:
        document, end = decoder.raw_decode(rest)
        found.append(_cost(document))
        rest = rest[end:].lstrip()
    return found


def _cost(document: Any) -> StatementCost:
    plan = document[0]["Plan"]
    pages = plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
    return StatementCost(pages, document[0]["Planning Time"] + document[0]["Execution Time"])
