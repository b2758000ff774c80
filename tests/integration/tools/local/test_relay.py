"""A relay knows its connections, and leaves none open when it ends."""

import asyncio
import gc
import socket
import warnings

import pytest

from tools.local.relay import Relay


class Echo(Relay):
    """Answers what it is sent, and then waits for more."""

    port = 0

    async def _begin(self) -> None:
        self.port = int((await self._listen(self._serve)).rsplit(":", 1)[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1024):
            writer.write(piece)


@pytest.mark.parametrize("used", [True, False], ids=["used", "just made"])
def test_no_connection_outlives_its_relay(used: bool) -> None:
    with warnings.catch_warnings(record=True) as reported:
        warnings.simplefilter("always")
        for _ in range(30):
            with Echo() as relay:
                clients = [socket.create_connection(("127.0.0.1", relay.port), timeout=5) for _ in range(5)]
                for client in clients if used else []:
                    client.sendall(b"x")
                    assert client.recv(1) == b"x"
            for client in clients:
                client.close()
            del relay
        gc.collect()
    assert [str(one.message) for one in reported] == []


def test_a_relay_is_idle_while_it_serves_no_connection() -> None:
    with Echo() as relay:
        assert relay.is_idle
        with socket.create_connection(("127.0.0.1", relay.port), timeout=5) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            assert not relay.is_idle
            client.shutdown(socket.SHUT_WR)
            # The relay closes its side when it has served the connection.
            assert client.recv(1) == b""
        assert relay.is_idle
