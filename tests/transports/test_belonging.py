"""Which transport serves a process, a loop and a thread, and what happens at the borders."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import ssl
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support.forks import in_child, needs_fork
from tests.transports.conftest import got
from tests.transports.hostile import OK, Peer, Server, answered, say
from webex import AsyncWebex, Webex
from webex.errors import ConfigurationError, ConnectDeadlineError, DeadlineError, TransportError
from webex.runtime import BlockingRuntime, EventLoopRuntime, WireRequest, drive, event_loop
from webex.runtime.certificates import tls_context

JSON = answered(b"content-type: application/json", body=b'{"items": []}')
FAST = importlib.util.find_spec("pyreqwest") is not None


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Peer], Any]], Server]]:
    made: list[Server] = []

    def start(handler: Callable[[Peer], Any]) -> Server:
        made.append(Server(handler, None))
        return made[-1]

    yield start
    for server in made:
        server.close()


Serve = Callable[[Callable[[Peer], Any]], Server]


def request_to(server: Server, **more: Any) -> WireRequest:
    return WireRequest("GET", server.url, **{"timeout": 10.0, **more})


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    """Run a call that will fail when the test ends."""

    def run() -> None:
        with contextlib.suppress(TransportError):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# Choosing


def test_each_style_refuses_a_transport_of_the_other() -> None:
    with pytest.raises(ConfigurationError, match="Async… classes"):
        Webex("t", transport="aiohttp")
    with pytest.raises(ConfigurationError, match="blocking"):
        AsyncWebex("t", transport="urllib3")
    with pytest.raises(ConfigurationError, match="'urllib3'"):
        Webex("t", transport="pigeon")


@pytest.mark.parametrize("given", [5, object(), object, b"aiohttp", {"send": 1}])
def test_an_invalid_transport_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="transport"):
        Webex("t", transport=given)
    with pytest.raises(ConfigurationError, match="transport"):
        AsyncWebex("t", transport=given)


def test_a_custom_transport_is_used(serve: Serve) -> None:
    class Answer:
        status = 200
        headers: ClassVar[dict[str, str]] = {}

        async def read(self) -> bytes:
            return b'{"mine": true}'

        async def close(self) -> None:
            pass

    class Mine:
        async def send(self, request: WireRequest) -> Answer:
            assert request.url == "https://webexapis.com/v1/rooms"
            return Answer()

        async def aclose(self) -> None:
            pass

    with Webex("t", transport=Mine()) as webex:
        assert webex.request("GET", "/rooms").json() == {"mine": True}

    async def main() -> Any:
        async with AsyncWebex("t", transport=Mine()) as webex:
            return (await webex.request("GET", "/rooms")).json()

    assert asyncio.run(main()) == {"mine": True}


def test_the_variable_chooses_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_TRANSPORT", "aiohttp")
    with pytest.raises(ConfigurationError, match="aiohttp"):
        Webex("t")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyreqwest", None)
    monkeypatch.delitem(sys.modules, "webex.runtime.pyreqwest_transport", raising=False)
    for kind in (Webex, AsyncWebex):
        with pytest.raises(ConfigurationError, match=r"webex\[fast\]"):
            kind("t", transport="pyreqwest")


@needs_fork
@pytest.mark.skipif(not FAST, reason="pyreqwest is not installed")
def test_pyreqwest_is_refused_in_a_forked_child(serve: Serve) -> None:
    code = f"""
import os
from webex import Webex
from webex.errors import ConfigurationError
webex = Webex("t", emulator_url={serve(say(JSON)).url.rstrip("/")!r}, transport="pyreqwest")
webex.request("GET", "/rooms")
if os.fork() == 0:
    for work in (lambda: webex.request("GET", "/rooms"), lambda: Webex("t", transport="pyreqwest")):
        try:
            work()
        except ConfigurationError as error:
            assert "forked" in str(error)
        else:
            os._exit(1)
    os._exit(0)
assert os.wait()[1] == 0
webex.request("GET", "/rooms")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


LOADED = """
import asyncio, sys
from webex import AsyncWebex, Webex
def loaded():
    return sorted({{"aiohttp", "urllib3", "pyreqwest"}} & set(sys.modules))
assert loaded() == [], loaded()
if {style!r} == "blocking":
    Webex("t", emulator_url={url!r}).request("GET", "/rooms")
    assert loaded() == ["urllib3"], loaded()
else:
    async def main():
        loop = asyncio.get_running_loop()
        import threading
        here, there = threading.get_ident(), []
        class Watch:
            def find_spec(self, name, path=None, target=None):
                if name == "aiohttp":
                    there.append(threading.get_ident())
        sys.meta_path.insert(0, Watch())
        await AsyncWebex("t", emulator_url={url!r}).request("GET", "/rooms")
        assert there and here not in there
    asyncio.run(main())
    assert loaded() == ["aiohttp"], loaded()
print("done")
"""


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_a_library_is_imported_by_the_first_call_off_the_loop(serve: Serve, style: str) -> None:
    url = serve(say(JSON)).url.rstrip("/")
    command = [sys.executable, "-W", "error", "-c", LOADED.format(style=style, url=url)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


# An aiohttp session that the app hands in


def test_a_given_session_is_used(serve: Serve) -> None:
    import aiohttp

    server = serve(say(answered(b"set-cookie: a=1", b"location: /else", status=b"302 Found")))

    async def main() -> None:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(
            headers={"x-app": "1"}, cookies={"app": "1"}, cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=0.01)
        ) as session:
            runtime = EventLoopRuntime(session)
            for _ in range(2):
                answer = await got(runtime, request_to(server))
                assert (answer.status, answer.headers["location"]) == (302, "/else")
            with pytest.raises(DeadlineError):
                await got(runtime, request_to(serve(lambda peer: peer.silent()), timeout=0.2))
            await runtime.aclose()
            assert not session.closed
            async with session.get(server.url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=10)) as own:
                assert own.status == 302
            assert [cookie.value for cookie in jar if cookie.key == "a"] == ["1"]

    asyncio.run(main())
    ours = b"".join(server.seen[:2]).lower()
    assert b"cookie" not in ours
    assert b"x-app" not in ours
    assert server.connections == 1  # its connections are shared


@needs_fork
def test_a_session_serves_only_its_own_loop_and_process(serve: Serve) -> None:
    import aiohttp

    server = serve(say(OK))
    kept: list[Any] = []

    async def making() -> None:
        session = aiohttp.ClientSession()
        kept.extend((session, EventLoopRuntime(session)))
        assert (await got(kept[1], request_to(server))).body == b"ok"
        with pytest.raises(ConfigurationError, match="not blocking"):
            BlockingRuntime(session)

    async def elsewhere() -> None:
        with pytest.raises(ConfigurationError, match="another event loop"):
            await got(kept[1], request_to(server))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(making())
    asyncio.run(elsewhere())

    def child() -> bool:
        async def refused() -> bool:
            try:
                await got(kept[1], request_to(server))
            except ConfigurationError:
                return True
            return False

        return asyncio.run(refused())

    assert in_child(child) == 0
    loop.run_until_complete(kept[0].close())

    async def closed() -> None:
        with pytest.raises(ConfigurationError, match="closed"):
            await got(kept[1], request_to(server))

    loop.run_until_complete(closed())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


# Loops


def test_several_loops_at_once_keep_a_pool_each(serve: Serve) -> None:
    server = serve(say(OK))
    runtime = EventLoopRuntime()
    together = threading.Barrier(4)

    async def calls() -> None:
        for _ in range(25):
            together.wait(60)
            assert (await got(runtime, request_to(server))).body == b"ok"

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(asyncio.run, calls()) for _ in range(4)]:
            future.result()
    assert server.connections == 4


def test_successive_loops_leave_nothing_open(serve: Serve) -> None:
    server = serve(say(OK))
    runtime = EventLoopRuntime()

    async def call() -> None:
        await got(runtime, request_to(server))

    for _ in range(20):
        asyncio.run(call())
    server.wait_until_closed()
    assert len(runtime._opened) <= 1


def test_concurrent_calls_import_and_connect_once(serve: Serve) -> None:
    server = serve(say(OK))

    async def main() -> None:
        runtime = EventLoopRuntime(pool_size=3)
        answers = await asyncio.gather(*(got(runtime, request_to(server)) for _ in range(40)))
        assert {answer.body for answer in answers} == {b"ok"}
        await runtime.aclose()
        await runtime.aclose()
        assert (await got(runtime, request_to(server))).body == b"ok"  # opened anew
        await runtime.aclose()

    asyncio.run(main())
    assert server.connections <= 4


def test_waiting_for_a_free_connection_past_the_deadline_is_certain(serve: Serve) -> None:
    server = serve(lambda peer: (peer.request(), peer.silent()))

    async def main() -> None:
        runtime = EventLoopRuntime(pool_size=1)
        first = asyncio.create_task(got(runtime, request_to(server)))
        await asyncio.to_thread(server.wait_for, 1)
        with pytest.raises(ConnectDeadlineError):
            await got(runtime, request_to(server, timeout=0.2))
        first.cancel()
        await asyncio.wait([first])
        await runtime.aclose()

    asyncio.run(main())
    blocking = BlockingRuntime(pool_size=1)
    thread = in_thread(lambda: drive(got(blocking, request_to(server, timeout=60.0))))
    server.wait_for(2)
    with pytest.raises(ConnectDeadlineError):
        drive(got(blocking, request_to(server, timeout=0.2)))
    server.over.set()
    thread.join()
    assert len(server.seen) == 2


# Threads


def test_many_threads_share_a_client(serve: Serve) -> None:
    server = serve(say(JSON))
    with Webex("t", emulator_url=server.url.rstrip("/")) as webex, ThreadPoolExecutor(64) as pool:
        results = list(pool.map(lambda _: webex.request("GET", "/rooms").json(), range(640)))
    assert results == [{"items": []}] * 640
    assert server.connections <= 64


def test_first_calls_on_threads_that_end(serve: Serve) -> None:
    code = f"""
import threading
import types
from webex import Webex
webex = Webex("t", emulator_url={serve(say(JSON)).url.rstrip("/")!r})
for _ in range(5):
    thread = threading.Thread(target=lambda: print(webex.request("GET", "/rooms").status))
    thread.start()
    thread.join()
"""
    for transport in ["auto", *(["pyreqwest"] if FAST else [])]:
        environment = {**os.environ, "WEBEX_TRANSPORT": transport}
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, ["200"] * 5, "")


# Forks


@needs_fork
def test_a_fork_while_threads_read(serve: Serve) -> None:
    """The child gets connections of its own, the parent keeps its."""
    busy = serve(lambda peer: (peer.request(), peer.silent()))
    server = serve(say(OK))
    runtime = BlockingRuntime()
    assert drive(got(runtime, request_to(server))).body == b"ok"
    threads = [in_thread(lambda: drive(got(runtime, request_to(busy)))) for _ in range(16)]
    busy.wait_for(16)
    for _ in range(3):
        assert in_child(lambda: drive(got(runtime, request_to(server))).body == b"ok") == 0
    assert drive(got(runtime, request_to(server))).body == b"ok"
    assert server.connections == 4  # the parent's one, and one for each child
    busy.over.set()
    for thread in threads:
        thread.join()


@needs_fork
def test_a_fork_after_calls_in_a_loop(serve: Serve) -> None:
    server = serve(say(OK))
    runtime = EventLoopRuntime()

    async def call() -> bool:
        return (await got(runtime, request_to(server))).body == b"ok"

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(call())
    assert in_child(lambda: asyncio.run(call()) and asyncio.run(call())) == 0
    assert loop.run_until_complete(call())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert server.connections == 3


@pytest.mark.parametrize("when", ["before it is made", "after it is made"])
def test_client_whose_first_step_is_cancelled_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    prepare, made = event_loop.prepare, []
    begun, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Callable[[], Any]:
        make = prepare(*arguments)
        begun.set()
        go_on.wait(60)

        def noted() -> Any:
            made.append(make())
            if when == "after it is made":
                tasks[0].cancel()
            return made[0]

        return noted

    async def use() -> None:
        async with AsyncWebex("t", transport="aiohttp"):
            raise AssertionError("it was cancelled before")

    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        tasks.append(asyncio.create_task(use()))
        await asyncio.to_thread(begun.wait, 20)
        if when == "before it is made":
            tasks[0].cancel()
            await asyncio.wait(tasks)
        go_on.set()
        await asyncio.wait(tasks)
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0)
        assert tasks[0].cancelled()
        assert len(made) == (when == "after it is made")
        assert all(each._session.closed for each in made)

    monkeypatch.setattr(event_loop, "prepare", slow)
    asyncio.run(main())


def test_call_without_an_event_loop_of_asyncio_says_what_is_needed() -> None:
    call = AsyncWebex("t").people.me()
    with pytest.raises(ConfigurationError, match="event loop of asyncio"):
        call.send(None)


# TLS


def test_the_context_verifies() -> None:
    context = tls_context(None, "blocking")
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    with pytest.raises(ConfigurationError, match="ca_bundle"):
        tls_context(__file__, "blocking")


def test_clients_share_a_context_until_the_authorities_change(
    tmp_path: Path, certificate: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "authorities.pem"
    bundle.write_bytes(certificate[0].read_bytes())
    first = tls_context(str(bundle), "blocking")
    assert tls_context(str(bundle), "blocking") is first
    assert tls_context(str(bundle), "async") is not first
    assert tls_context(None, "blocking") is not first
    bundle.write_bytes(certificate[0].read_bytes() * 2)
    assert tls_context(str(bundle), "blocking") is not first
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert len(tls_context(None, "blocking").get_ca_certs()) == 1
    bundle.write_text("no certificates any more")
    with pytest.raises(ConfigurationError, match="ca_bundle"):
        tls_context(str(bundle), "blocking")


@pytest.mark.skipif(not FAST, reason="pyreqwest is not installed")
@pytest.mark.parametrize(
    ("module", "function"), [("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")]
)
def test_pyreqwest_is_refused_among_greenlets(monkeypatch: pytest.MonkeyPatch, module: str, function: str) -> None:
    patcher = types.SimpleNamespace(**{function: lambda name: name == "socket"})
    monkeypatch.setitem(sys.modules, module, patcher)
    with pytest.raises(ConfigurationError, match="greenlets"):
        Webex("t", transport="pyreqwest")
    Webex("t")
