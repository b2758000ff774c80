"""What both clients share: addresses, requests and headers."""

from importlib.metadata import PackageNotFoundError, version

import httpx

from recordings_client.effects import Fetch, Send

try:
    VERSION = version("recordings-client")
except PackageNotFoundError:  # used from its sources
    VERSION = "0"


def api_request(http: httpx.Client | httpx.AsyncClient, url: str, send: Send, token: str) -> httpx.Request:
    """Build a request to the API at `url`."""
    # The token is a header of this request, not of the client: requests for files must not contain it.
    return http.build_request(
        send.method,
        f"{url}{send.path}",
        params=send.query or None,
        json=send.body,
        headers={**send.headers, "Authorization": f"Bearer {token}"},
    )


class _LoggedWithoutQuery(httpx.URL):
    """httpx logs the URL of every request. The query of a presigned URL gives access to the file."""

    def __str__(self) -> str:
        return str(self.copy_with(query=None))


def file_request(http: httpx.Client | httpx.AsyncClient, fetch: Fetch) -> httpx.Request:
    """Build a request to the storage. Its URL is logged without the signature."""
    request = http.build_request("GET", fetch.url, headers=fetch.headers)
    request.url = _LoggedWithoutQuery(request.url)
    return request


def base_url(url: str) -> str:
    """Return the URL without the path that every call adds.

    Raises:
        ValueError: it is no URL of the form https://host
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not an address: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is not an address of the form https://host")
    return url.rstrip("/").removesuffix("/api/v1")


def checked_timeout(timeout: float) -> float:
    """Return the timeout in seconds.

    Raises:
        ValueError: it is not more than 0
    """
    if not timeout > 0:
        raise ValueError("a timeout must be more than 0 seconds")
    return timeout


def headers() -> dict[str, str]:
    """Return the headers of every request."""
    return {"User-Agent": f"recordings-client/{VERSION}"}
