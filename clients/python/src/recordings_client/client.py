"""The clients: `Client` blocks, `AsyncClient` is awaited; both do what `calls`, `downloads` and `waiting` describe."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import closing
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar

import httpx

from recordings_client import calls, downloads, waiting
from recordings_client.calls import Pages
from recordings_client.effects import Answer, Effect, Fetch, Send, Steps, Wait
from recordings_client.policy import Policy

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

Token: TypeAlias = str | Callable[[], str]
AsyncToken: TypeAlias = str | Callable[[], str] | Callable[[], Awaitable[str]]

try:
    VERSION = version("recordings-client")
except PackageNotFoundError:  # used from its sources
    VERSION = "0"


def _as_method_of(call: Callable[..., Any]) -> Callable[[F], F]:
    """The method looks like the call it makes: name, words and signature, `policy` being `self`."""

    def dress(method: F) -> F:
        wrapped = wraps(call)(method)
        signature = inspect.signature(call)
        _, *others = signature.parameters.values()
        itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        # What the call returns is steps; what the method returns, only the type checker can say.
        mine = signature.replace(parameters=[itself, *others], return_annotation=inspect.Signature.empty)
        wrapped.__signature__ = mine  # type: ignore[attr-defined]
        wrapped.__qualname__ = method.__qualname__
        return wrapped  # type: ignore[return-value]  # wraps() says less than it does

    return dress


def _does(call: Callable[Concatenate[Policy, P], Steps[T]]) -> Callable[Concatenate["Client", P], T]:
    @_as_method_of(call)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(call(self._policy, *args, **kwargs))

    return method


def _iterates(call: Callable[Concatenate[Policy, P], Pages[T]]) -> Callable[Concatenate["Client", P], Iterator[T]]:
    @_as_method_of(call)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._each(call(self._policy, *args, **kwargs))

    return method


def _async_does(
    call: Callable[Concatenate[Policy, P], Steps[T]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    @_as_method_of(call)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(call(self._policy, *args, **kwargs))

    return method


def _async_iterates(
    call: Callable[Concatenate[Policy, P], Pages[T]],
) -> Callable[Concatenate["AsyncClient", P], AsyncIterator[T]]:
    @_as_method_of(call)
    def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._each(call(self._policy, *args, **kwargs))

    return method


class Client:
    """Calls the API at `url` with `token`, or with what `token()` gives before each request.

    `timeout` is in seconds, for connecting and for each read. Safe for several threads, as httpx is.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        timeout: float = 30.0,
        policy: Policy | None = None,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url, self._token, self._sleep = _address(url), token, sleep
        self._policy = policy or Policy()
        self._http = httpx.Client(timeout=_checked(timeout), headers=_agent(), transport=transport)

    put_room = _does(calls.put_room)
    get_room = _does(calls.get_room)
    list_rooms = _does(calls.list_rooms)
    iter_rooms = _iterates(calls.iter_rooms)
    delete_room = _does(calls.delete_room)
    start = _does(calls.start)
    stop = _does(calls.stop)
    sync = _does(calls.sync)
    list_recordings = _does(calls.list_recordings)
    iter_recordings = _iterates(calls.iter_recordings)
    get = _does(calls.get)
    download_url = _does(calls.download_url)
    download = _does(downloads.download)
    archive = _does(calls.archive)
    restore = _does(calls.restore)
    recover = _does(calls.recover)
    delete = _does(calls.delete)
    undelete = _does(calls.undelete)
    wait_until_ready = _does(waiting.wait_until_ready)

    def close(self) -> None:
        """Close the connections; `with` does it too."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        try:
            effect = next(steps)
            while True:
                try:
                    outcome = self._do(effect)
                except Exception as error:
                    effect = steps.throw(error)
                else:
                    effect = steps.send(outcome)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            steps.close()

    def _each(self, pages: Pages[T]) -> Iterator[T]:
        cursor = None
        while True:
            page = self._run(pages(cursor))
            yield from page.items
            # The same cursor again would never end.
            if page.next_cursor is None or page.next_cursor == cursor:
                return
            cursor = page.next_cursor

    def _do(self, effect: Effect) -> Answer | None:
        if isinstance(effect, Wait):
            self._sleep(effect.seconds)
            return None
        if isinstance(effect, Fetch):
            response = self._http.send(_fetch(self._http, effect), stream=True)
            with closing(response):
                take = effect.receive(response.status_code, response.headers)
                if take is not None:
                    for chunk in response.iter_raw():
                        take(chunk)
            return Answer(response.status_code, response.headers)
        token = self._token if isinstance(self._token, str) else self._token()
        response = self._http.send(_request(self._http, self._url, effect, token))
        return Answer(response.status_code, response.headers, response.content)


class AsyncClient:
    """`Client` for asyncio; `token` may be a coroutine function. `download` writes in the thread of the loop."""

    def __init__(
        self,
        url: str,
        token: AsyncToken,
        *,
        timeout: float = 30.0,
        policy: Policy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url, self._token, self._sleep = _address(url), token, sleep
        self._policy = policy or Policy()
        self._http = httpx.AsyncClient(timeout=_checked(timeout), headers=_agent(), transport=transport)

    put_room = _async_does(calls.put_room)
    get_room = _async_does(calls.get_room)
    list_rooms = _async_does(calls.list_rooms)
    iter_rooms = _async_iterates(calls.iter_rooms)
    delete_room = _async_does(calls.delete_room)
    start = _async_does(calls.start)
    stop = _async_does(calls.stop)
    sync = _async_does(calls.sync)
    list_recordings = _async_does(calls.list_recordings)
    iter_recordings = _async_iterates(calls.iter_recordings)
    get = _async_does(calls.get)
    download_url = _async_does(calls.download_url)
    download = _async_does(downloads.download)
    archive = _async_does(calls.archive)
    restore = _async_does(calls.restore)
    recover = _async_does(calls.recover)
    delete = _async_does(calls.delete)
    undelete = _async_does(calls.undelete)
    wait_until_ready = _async_does(waiting.wait_until_ready)

    async def close(self) -> None:
        """Close the connections; `async with` does it too."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        try:
            effect = next(steps)
            while True:
                try:
                    outcome = await self._do(effect)
                except Exception as error:
                    effect = steps.throw(error)
                else:
                    effect = steps.send(outcome)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            steps.close()

    async def _each(self, pages: Pages[T]) -> AsyncIterator[T]:
        cursor = None
        while True:
            page = await self._run(pages(cursor))
            for one in page.items:
                yield one
            if page.next_cursor is None or page.next_cursor == cursor:
                return
            cursor = page.next_cursor

    async def _do(self, effect: Effect) -> Answer | None:
        if isinstance(effect, Wait):
            await self._sleep(effect.seconds)
            return None
        if isinstance(effect, Fetch):
            response = await self._http.send(_fetch(self._http, effect), stream=True)
            try:
                take = effect.receive(response.status_code, response.headers)
                if take is not None:
                    async for chunk in response.aiter_raw():
                        take(chunk)
            finally:
                await response.aclose()
            return Answer(response.status_code, response.headers)
        given = self._token if isinstance(self._token, str) else self._token()
        token = given if isinstance(given, str) else await given
        response = await self._http.send(_request(self._http, self._url, effect, token))
        return Answer(response.status_code, response.headers, response.content)


def _request(http: httpx.Client | httpx.AsyncClient, url: str, send: Send, token: str) -> httpx.Request:
    # The token goes with the request, never with the client: addresses of files must not see it.
    return http.build_request(
        send.method,
        f"{url}{send.path}",
        params=send.query or None,
        json=send.body,
        headers={**send.headers, "Authorization": f"Bearer {token}"},
    )


class _Unspoken(httpx.URL):
    """httpx logs every address it asks; of a file's, only the part that opens nothing."""

    def __str__(self) -> str:
        return str(self.copy_with(query=None))


def _fetch(http: httpx.Client | httpx.AsyncClient, fetch: Fetch) -> httpx.Request:
    request = http.build_request("GET", fetch.url, headers=fetch.headers)
    request.url = _Unspoken(request.url)
    return request


def _address(url: str) -> str:
    """The address without the part that every call adds itself."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not an address: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is not an address of the form https://host")
    return url.rstrip("/").removesuffix("/api/v1")


def _checked(timeout: float) -> float:
    if not timeout > 0:
        raise ValueError("a timeout must be more than 0 seconds")
    return timeout


def _agent() -> dict[str, str]:
    return {"User-Agent": f"recordings-client/{VERSION}"}
