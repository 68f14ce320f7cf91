"""A browser without a window: follows redirects, keeps cookies as browsers do, presses buttons. Over real HTTP."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

import urllib3

_MOST_REDIRECTS: Final = 10


@dataclass
class Page:
    """What came back, and from where."""

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    visited: tuple[str, ...] = field(default=(), repr=False)

    @property
    def text(self) -> str:
        """The source of the page."""
        return self.body.decode("utf-8", "replace")


class Browser:
    """One person's browser. `http` is a shared pool; cookies are this browser's own."""

    def __init__(self, name: str, http: urllib3.PoolManager) -> None:
        self.name = name
        self._http = http
        self.cookies: dict[tuple[str, str], str] = {}  # (host, name) → value; ports share cookies (RFC 6265 §8.5)

    def get(self, url: str, *, follow: bool = True, headers: Mapping[str, str] | None = None) -> Page:
        """Open an address."""
        return self._go("GET", url, None, headers or {}, follow=follow)

    def post(
        self,
        url: str,
        fields: Mapping[str, Any] | None = None,
        *,
        follow: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Send a form as a page of the same origin would; a value `(name, bytes, type)` is a file."""
        parts = urlsplit(url)
        given = {"origin": f"{parts.scheme}://{parts.netloc}", "sec-fetch-site": "same-origin", **(headers or {})}
        return self._go("POST", url, dict(fields or {}), given, follow=follow)

    def press(self, page: Page, text: str, **typed: str) -> Page:
        """Press the button of a page that shows a text, with the form around it."""
        for action, inside in re.findall(r'<form[^>]*?action="([^"]+)"[^>]*>(.*?)</form>', page.text, re.DOTALL):
            hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', inside))
            fields = {unescape(name): unescape(value) for name, value in hidden.items()}
            for attributes, shown in re.findall(r"<button([^>]*)>(.*?)</button>", inside, re.DOTALL):
                if text in unescape(shown):
                    if pair := re.search(r'name="([^"]+)" value="([^"]+)"', attributes):
                        fields[pair[1]] = unescape(pair[2])
                    return self.post(urljoin(page.url, unescape(action)), {**fields, **typed})
        raise LookupError(f"No button on {urlsplit(page.url).path} shows {text!r}.")

    def listen(self, url: str, seconds: float = 30.0) -> Generator[str, None, None]:
        """Yield the lines of a stream of server-sent events; end after so many seconds without one."""
        host = urlsplit(url).hostname or ""
        own = "; ".join(f"{name}={value}" for (place, name), value in self.cookies.items() if place == host)
        headers = {"accept": "text/event-stream", "cookie": own}
        answer = self._http.request("GET", url, headers=headers, preload_content=False, retries=False, timeout=seconds)
        try:
            if answer.status != 200:
                raise LookupError(f"{urlsplit(url).path} is no stream: status {answer.status}.")
            text = ""
            while True:
                piece = answer.read1()
                if not piece:
                    return
                text += piece.decode()
                *lines, text = text.split("\n")
                yield from lines
        finally:
            answer.close()

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie, whatever its prefix."""
        return next((value for (_, key), value in self.cookies.items() if key.endswith(name)), None)

    def _go(
        self, method: str, url: str, fields: dict[str, Any] | None, headers: Mapping[str, str], *, follow: bool
    ) -> Page:
        visited: list[str] = []
        for _ in range(_MOST_REDIRECTS):
            visited.append(url)
            page = self._send(method, url, fields, headers)
            page.visited = tuple(visited)
            location = page.headers.get("location")
            if not follow or location is None or not 300 <= page.status < 400:
                return page
            url, method, fields, headers = urljoin(url, location), "GET", None, {}
        raise RecursionError(f"More than {_MOST_REDIRECTS} redirects, the last to {urlsplit(url).path}.")

    def _send(self, method: str, url: str, fields: dict[str, Any] | None, headers: Mapping[str, str]) -> Page:
        host = urlsplit(url).hostname or ""
        own = {name: value for (place, name), value in self.cookies.items() if place == host}
        sent = {"accept": "text/html,*/*", "user-agent": f"demo-browser/{self.name}", **headers}
        if own:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in own.items())
        body: Any = None
        if fields is not None and any(isinstance(value, tuple) for value in fields.values()):
            body, sent["content-type"] = urllib3.encode_multipart_formdata(fields)
        elif fields is not None:
            body, sent["content-type"] = urlencode(fields, quote_via=quote), "application/x-www-form-urlencoded"
        answer = self._http.request(method, url, body=body, headers=sent, redirect=False, retries=False, timeout=30.0)
        for line in answer.headers.getlist("set-cookie"):
            self._keep(host, line)
        return Page(url, answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.data)

    def _keep(self, host: str, line: str) -> None:
        pair, *attributes = [part.strip() for part in line.split(";")]
        name, _, value = pair.partition("=")
        if any(attribute.lower() == "max-age=0" for attribute in attributes):
            self.cookies.pop((host, name), None)
        else:
            self.cookies[host, name] = value
