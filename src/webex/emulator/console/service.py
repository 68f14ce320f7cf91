"""The console's routes: its page at `/`, its files, what it reads and does under `/_console/`.

Neither the request log nor faults concern these routes. The control API stays closed to pages: the console has actions
of its own, behind a session cookie and the check of `Origin`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webex.emulator.app import encode
from webex.emulator.console import actions, live, views
from webex.emulator.console.access import Access, check_origin
from webex.emulator.console.snapshots import Snapshots
from webex.emulator.wire import Call, Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.app import Receive, Scope
    from webex.emulator.cloud import Cloud

ROOT: Final = "/_console/"
_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".html": "text/html;charset=UTF-8",
    ".css": "text/css;charset=UTF-8",
    ".js": "text/javascript;charset=UTF-8",
    ".svg": "image/svg+xml",
}
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
# A message's html: no script, no picture, no form, no link that leads anywhere; only the console may frame it.
_HTML_POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; "
    "sandbox allow-same-origin"
)
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": _DATA_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Console:
    """Serves the console of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.access: Access = Access(cloud)
        self.snapshots: Snapshots = Snapshots(cloud)

    async def answer(self, call: Call, scope: Scope, receive: Receive) -> Reply:
        """Answer one request for `/` or below `/_console/`."""
        try:
            reply = await self._answer(call, scope, receive)
        except Problem as problem:
            reply = Reply(problem.status, {"message": problem.message}, dict(problem.headers))
        reply.headers = {**_HEADERS, **reply.headers}
        return reply

    async def _answer(self, call: Call, scope: Scope, receive: Receive) -> Reply:
        if call.url_path == "/":
            return self._page(call)
        kind, _, name = call.url_path.removeprefix(ROOT).partition("/")
        if kind == "static":
            _only(call, "GET", "HEAD")
            return _file(name)
        self.access.require(call)
        if kind == "api" and call.method in ("GET", "HEAD"):
            return self._view(call, name)
        if kind == "api":
            _only(call, "GET", "HEAD", "POST")
            return await self._act(call, name)
        _only(call, "GET", "HEAD")
        if kind == "events" and not name:
            stop = scope.get("state", {}).get("webex.stop") or asyncio.Event()
            return live.stream(self.cloud, receive, stop)
        with self.cloud.lock:
            if kind == "file":
                return views.download(self.cloud, call)
            if kind == "html":
                page = views.message_html(self.cloud, call)
                page.headers = {"content-security-policy": _HTML_POLICY}
                return page
            if kind == "snapshot":
                return self.snapshots.download(call.arg("id", "") or "")
        raise Problem(404, "The console has no such page.")

    def _page(self, call: Call) -> Reply:
        """Return the page; with a key in the address, set it as a cookie and redirect without it."""
        _only(call, "GET", "HEAD")
        key = call.arg("key")
        if self.access.is_open(call):
            return _redirect() if key is not None else _html("console.html", 200)
        # A link that is only looked at, or fetched in advance, does not use the key up.
        looks = call.method == "HEAD" or "prefetch" in call.headers.get("sec-purpose", call.headers.get("purpose", ""))
        session = self.access.redeem(key) if key is not None and not looks else None
        if session is None:
            return _html("locked.html", 403)
        reply = _redirect()
        reply.headers["set-cookie"] = self.access.set_cookie(call, session)
        return reply

    def _view(self, call: Call, name: str) -> Reply:
        view = views.VIEWS.get(name)
        if name == "snapshots":
            return Reply(200, self.snapshots.listed())
        if view is None:
            raise Problem(404, f"The console has no view {name!r}.")
        with self.cloud.lock:
            # Encoded here: the records may change once the lock is free.
            return Reply(200, encode(view(self.cloud, call)))

    async def _act(self, call: Call, name: str) -> Reply:
        if call.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Problem(415, "The console takes JSON.")
        arguments = call.json()
        if name == "leave":
            self.access.close(call)
            return Reply(200, {"result": None})
        if name not in actions.ACTIONS:
            raise Problem(404, f"The console has no action {name!r}.")
        try:
            # In a thread: some post to the cloud itself, or wait for a webhook's target.
            result = await asyncio.to_thread(actions.run, self.cloud, name, arguments)
        except (TypeError, ValueError, LookupError) as error:
            text = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
            raise Problem(400, f"{text}") from None
        self.cloud.revision += 1
        return Reply(200, {"result": result})


def _only(call: Call, *methods: str) -> None:
    if call.method not in methods:
        check_origin(call)
        raise Problem(405, f"The method {call.method} is not supported here.", headers={"allow": ", ".join(methods)})


def _redirect() -> Reply:
    return Reply(303, None, {"location": "/"})


def _html(name: str, status: int) -> Reply:
    return Reply(
        status, (_FOLDER / name).read_bytes(), {"content-security-policy": _PAGE_POLICY}, content_type=_TYPES[".html"]
    )


def _file(name: str) -> Reply:
    path = _FOLDER / name
    if "/" in name or name not in {each.name for each in _FOLDER.iterdir()} or path.suffix == ".html":
        raise Problem(404, "The console has no such file.")
    return Reply(200, path.read_bytes(), content_type=_TYPES[path.suffix])
