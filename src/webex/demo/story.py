"""The demo without a person: the whole story over real HTTP, told as it happens.

The cloud runs here, the app in a process of its own, which is killed and started again; the browsers are pools of
plain HTTP connections with cookies.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click
import urllib3

from webex.demo.browser import Browser, Page

if TYPE_CHECKING:
    from webex.emulator import Cloud

_START_WITHIN: Final = 30.0  # seconds for the app to answer
_AT_ONCE: Final = 20


class StoryError(Exception):
    """Something happened that is not in the story."""


class AppProcess:
    """The demo app in a process of its own."""

    def __init__(self, cloud: Cloud, folder: Path, port: int) -> None:
        self.url: str = f"http://127.0.0.1:{port}"
        self.database: Path = folder / "app.db"
        self._log = folder / "app.log"
        self._port = port
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "CISCOSPARK_"))},
            **cloud.env,
            "WEBEX_REDIRECT_URI": f"{self.url}/auth/callback",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, http: urllib3.PoolManager) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
                [sys.executable, "-m", "webex.demo.serving", str(self._port), str(self.database)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_WITHIN
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StoryError(f"The app ended at once, with {self._process.returncode}.\n{self.last_words}")
            try:
                http.request("GET", f"{self.url}/static/mark.svg", retries=False, timeout=2.0)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise StoryError(f"The app did not answer within {_START_WITHIN:g} s.\n{self.last_words}")

    def kill(self) -> int:
        """End it at once, in the middle of whatever it does (SIGKILL); gives its process id."""
        assert self._process is not None
        number = self._process.pid
        self._process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self._process.wait(timeout=10)
        return number

    def stop(self) -> None:
        """End it, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def last_words(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""


class Story:
    """Who does what, in order. `tell` prints a line."""

    def __init__(self, cloud: Cloud, app: AppProcess, http: urllib3.PoolManager, tell: Callable[[str], Any]) -> None:
        self._cloud, self._app, self._http, self._tell = cloud, app, http, tell
        self.alice: Browser = Browser("alice", http)
        self.bob: Browser = Browser("bob", http)
        self._chapter = 0
        self._room = ""

    def play(self) -> None:
        """All of it; `StoryError` where something else happens."""
        self._two_people_sign_in()
        self._each_acts()
        self._each_sees_it_live(self._room)
        self._the_app_is_killed()
        self._tokens_run_out()
        self._consent_is_taken_back()
        self._everybody_signs_out()

    def _two_people_sign_in(self) -> None:
        self._begin("Two people sign in, each in a browser of their own")
        for browser, name in ((self.alice, "Alice"), (self.bob, "Bob")):
            self._sign_in(browser, name)
            who = self._me(browser)
            self._expect(who["emails"] == [f"{browser.name}@example.com"], f"{name} is signed in as {who['emails'][0]}")
        self._expect(
            self.alice.cookie("session") != self.bob.cookie("session"), "each browser has a session of its own"
        )

    def _each_acts(self) -> None:
        self._begin("Each acts as themselves")
        page = self.alice.post(f"{self._app.url}/rooms", {"title": "My First Room!"})
        room = self._room = page.url
        self._expect("My First Room!" in page.text and "/rooms/" in room, "Alice made the room “My First Room!”")
        self._expect(self.bob.get(room).status == 404, "Bob can't see it: he is not in it")
        self.alice.post(f"{room}/people", {"email": "bob@example.com"})
        self.alice.post(f"{room}/messages", {"text": "Hello, Bob"})
        self._expect("Hello, Bob" in self.bob.get(room).text, "Alice invited him and wrote “Hello, Bob”; he reads it")
        content = os.urandom(100_000)
        page = self.bob.post(f"{room}/messages", {"text": "Here it is", "file": ("holiday.jpg", content, "image/jpeg")})
        self._expect("holiday.jpg" in page.text, "Bob sent a file of 100 KB")
        path = self.alice.get(room).text.split('class="file" href="', 1)[-1].split('"', 1)[0]
        self._expect(
            self.alice.get(self._app.url + path).body == content, "Alice downloaded it, and every byte is the same"
        )

    def _each_sees_it_live(self, room: str) -> None:
        self._begin("What one writes, the other sees at once, without a reload")
        for writer, reader, name in ((self.alice, self.bob, "Bob"), (self.bob, self.alice, "Alice")):
            text = f"Do you see this, {name}?"
            lines = reader.listen(f"{room}/events")
            try:
                began = next(line for line in lines if line.startswith(":"))
                writer.post(f"{room}/messages", {"text": text})
                seen = any(text in line for line in lines if line.startswith("data:"))
            except (LookupError, StopIteration, urllib3.exceptions.HTTPError) as error:
                raise StoryError(f"{name}'s page does not hear: {type(error).__name__} {error}") from None
            finally:
                lines.close()
            self._expect(bool(began) and seen, f"{name}'s open page shows “{text}”, decrypted on its way")

    def _the_app_is_killed(self) -> None:
        self._begin("The app is killed, and started again")
        number = self._app.kill()
        self._expect(self._is_down(), f"process {number} is gone (SIGKILL)")
        self._app.start(self._http)
        self._expect(self._me(self.alice)["name"].startswith("Alice"), "Alice is still signed in")
        self._expect(self._me(self.bob)["name"].startswith("Bob"), "Bob is still signed in")

    def _tokens_run_out(self) -> None:
        self._begin("Fifteen days go by, and the access tokens run out")
        before = self._cloud.requests.refreshes
        self._cloud.clock.advance(15 * 86400)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(lambda _: self._ask_me(self.alice), range(_AT_ONCE)))
        statuses = sorted({answer.status for answer in answers})
        self._expect(statuses == [200], f"{_AT_ONCE} requests at once, and all succeed", f"answers: {statuses}")
        refreshes = self._cloud.requests.refreshes - before
        self._expect(refreshes == 1, "the cloud counted exactly one refresh", f"it counted {refreshes}")

    def _consent_is_taken_back(self) -> None:
        self._begin("Bob takes his consent back, at Webex")
        self._cloud.revoke_consent("bob")
        page = self.bob.get(f"{self._app.url}/")
        self._expect(
            page.url.startswith(self._cloud.url) and "/v1/authorize" in page.url,
            "the app asks him for a new login",
            f"he landed at {urlsplit(page.url).path}, status {page.status}",
        )
        self._expect(self._ask_me(self.bob).status == 401, "a script with his cookie is told so: 401")
        self._expect(self._ask_me(self.alice).status == 200, "Alice does not notice")
        self._sign_in(self.bob, "Bob")
        self._expect(self._me(self.bob)["name"].startswith("Bob"), "he signs in again, and all is as before")

    def _everybody_signs_out(self) -> None:
        self._begin("Everybody signs out")
        copied, before = dict(self.alice.cookies), self._live_tokens()
        if not self._left_behind():
            raise StoryError("nothing of two signed-in people was found in the app's storage")
        theirs = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        answer = self.alice.post(f"{self._app.url}/auth/logout", headers=theirs, follow=False)
        self._expect(answer.status == 403, "another site's page can't sign Alice out: 403")
        for browser, name in ((self.alice, "Alice"), (self.bob, "Bob")):
            page = self._press(browser, browser.get(f"{self._app.url}/"), "Sign out")
            self._expect("Sign in with Webex" in page.text, f"{name} signed out")
        self.alice.cookies.update(copied)
        self._expect(self._ask_me(self.alice).status == 401, "Alice's old cookie is dead")
        left = self._left_behind()
        self._expect(not left, "nothing is left in the app's storage", f"left: {', '.join(left)}")
        live = self._live_tokens()
        self._expect(before > 0 and not live, "nor a token of theirs at Webex", f"{before} before, {live} now")

    # What people do

    def _sign_in(self, browser: Browser, name: str) -> None:
        page = browser.get(f"{self._app.url}/auth/login")
        page = self._press(browser, page, name)
        page = self._press(browser, page, "Accept")
        if not page.url.startswith(self._app.url) or page.status != 200:
            raise StoryError(f"{name} did not come back to the app: {urlsplit(page.url).path}, status {page.status}.")

    def _press(self, browser: Browser, page: Page, text: str) -> Page:
        try:
            return browser.press(page, text)
        except LookupError as error:
            raise StoryError(f"{error} (status {page.status})") from None

    def _ask_me(self, browser: Browser) -> Page:
        return browser.get(f"{self._app.url}/me", headers={"accept": "application/json"}, follow=False)

    def _me(self, browser: Browser) -> dict[str, Any]:
        import msgspec

        page = self._ask_me(browser)
        if page.status != 200:
            raise StoryError(f"{browser.name} is not signed in: status {page.status}.")
        found: dict[str, Any] = msgspec.json.decode(page.body)
        return found

    def _is_down(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", urlsplit(self._app.url).port or 0)) != 0

    def _live_tokens(self) -> int:
        state, now = self._cloud.state, self._cloud.now()
        access = [token for token in state.tokens.values() if token.kind == "access" and token.expires > now]
        return len(access) + len(state.refresh_tokens)

    def _left_behind(self) -> list[str]:
        from webex.runtime import BlockingRuntime, drive
        from webex.storage import SQLiteStorage, StorageAccess

        async def look() -> list[str]:
            storage = StorageAccess(SQLiteStorage(self._app.database), BlockingRuntime())
            return [namespace for namespace in ("credentials", "sessions") async for _ in storage.keys(namespace)]

        return drive(look())

    # How it is told

    def _begin(self, title: str) -> None:
        self._chapter += 1
        number = click.style(f" {self._chapter} ", bg="blue", fg="white", bold=True)
        self._tell(f"\n  {number}  {click.style(title, bold=True)}")

    def _expect(self, holds: bool, text: str, instead: str = "") -> None:
        if not holds:
            raise StoryError(f"not so: {text}" + (f" ({instead})" if instead else ""))
        self._tell(f"       {click.style('✓', fg='green', bold=True)} {text}")


def play(tell: Callable[[str], Any] = click.echo) -> bool:
    """Play the story and say whether it ended well."""
    from webex.emulator import Emulator

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="webex-demo-") as folder, Emulator() as cloud:
        tell(click.style("\n  A Webex cloud on this machine, an app, and two people", bold=True))
        http = urllib3.PoolManager(num_pools=4, maxsize=_AT_ONCE)
        app = AppProcess(cloud, Path(folder), _free_port())
        tell(click.style(f"  cloud {cloud.url}   app {app.url}   storage SQLite", dim=True))
        try:
            app.start(http)
            Story(cloud, app, http, tell).play()
        except StoryError as error:
            tell(f"       {click.style('✗', fg='red', bold=True)} {error}")
            if app.last_words:
                tell(click.style("\n  The app's last words:\n" + app.last_words, dim=True))
            return False
        finally:
            app.stop()
            http.clear()
    tell(f"\n  {click.style('The story ended well', fg='green', bold=True)}, in {time.monotonic() - began:.1f} s.\n")
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
