"""Time-outs and sizes: as settings, for one call, and for all calls of a view."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest

from webex import AsyncWebex, ConfigurationError, Webex, api
from webex.config import load_config
from webex.errors import DeadlineError, ResponseTooLargeError, TransportError, UnknownArgumentError
from webex.runtime.protocol import WireRequest


class Answer:
    """An answer in memory."""

    def __init__(self, body: bytes, headers: dict[str, str] | None = None, *, status: int = 200) -> None:
        self.status, self.headers, self._body = status, headers or {}, body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body
        if "cut" in self.headers:
            raise TransportError("cut")

    async def close(self) -> None:
        return None


class Recorder:
    """A transport that keeps the requests, and gives prepared answers."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.seen: list[WireRequest] = []
        self.answers = list(answers)

    async def send(self, request: WireRequest) -> Any:
        self.seen.append(request)
        answer = self.answers.pop(0) if self.answers else Answer(b'{"items": [], "id": "x"}')
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        return None


def client_of(recorder: Recorder, **settings: Any) -> Webex:
    config, _ = load_config({"transport": recorder, "access_token": "t", **settings}, environ={})
    return Webex(config=config)


def about(value: float | None) -> int:
    """A remaining time, rounded up: a moment of it has passed."""
    assert value is not None
    return int(value + 0.999)


def test_settings_reach_the_wire() -> None:
    recorder = Recorder()
    with client_of(recorder, timeout=30, idle_timeout=7, max_response_size=1000, max_download_size=2000) as client:
        client.rooms.get("x")
        client.files.download("/contents/x")
    plain, streamed = recorder.seen
    assert (about(plain.timeout), plain.stream_timeout, plain.max_size, plain.max_error_size) == (30, None, 1000, 65536)
    assert (about(streamed.timeout), about(streamed.stream_timeout), streamed.max_size) == (7, 30, 2000)
    assert streamed.idle_timeout == 7


def test_defaults() -> None:
    recorder = Recorder()
    with client_of(recorder) as client:
        client.rooms.get("x")
        client.files.download("/contents/x")
        client.messages.create(room_id="x", files=("a.bin", b"x" * 6_553_600))
    plain, streamed, uploaded = recorder.seen
    assert (about(plain.timeout), plain.max_size) == (60, 16 * 1024 * 1024)
    assert (about(streamed.timeout), about(streamed.stream_timeout), streamed.max_size) == (60, 3600, 2 * 1024**3)
    assert 160 <= about(uploaded.timeout) <= 162, "a second for each 64 KiB more"


def test_one_call_has_its_own_limits() -> None:
    recorder = Recorder()
    with client_of(recorder, timeout=30) as client:
        client.messages.create(room_id="x", text="x", timeout=5)
        client.messages.create_long(room_id="x", text="x", timeout=6)
        client.rooms.list(timeout=7).to_list()
        client.people.get_many(["x"], timeout=8)
        client.rooms.delete("x", timeout=9)
        client.request("GET", "/x", timeout=10, max_response_size=11)
        client.files.info("/contents/x", timeout=12)
        client.messages.create(room_id="x", files=("a.bin", b"x" * 9_000_000), timeout=13)
        client.files.download("/contents/x", timeout=14, idle_timeout=3, max_size=15)
    assert [about(each.timeout) for each in recorder.seen] == [5, 6, 7, 8, 9, 10, 12, 13, 3]
    assert recorder.seen[5].max_size == 11
    last = recorder.seen[-1]
    assert (about(last.stream_timeout), last.idle_timeout, last.max_size) == (14, 3, 15)


def test_every_page_has_the_time_of_its_call() -> None:
    recorder = Recorder(Answer(b'{"items": []}', {"link": '<https://webexapis.com/v1/rooms?cursor=2>; rel="next"'}))
    with client_of(recorder) as client:
        client.rooms.list(timeout=4).to_list()
    assert [about(each.timeout) for each in recorder.seen] == [4, 4]


def test_view_with_options() -> None:
    recorder = Recorder()
    with client_of(recorder, timeout=30) as client:
        quick = client.with_options(timeout=2, max_response_size=100, idle_timeout=1).with_options(timeout=3)
        quick.rooms.get("x")
        quick.rooms.get("x", timeout=5)
        quick.files.download("/contents/x")
        client.rooms.get("x")
        quick.close()
        client.rooms.get("x")
    assert [about(each.timeout) for each in recorder.seen] == [3, 5, 1, 30, 30]
    assert [each.max_size for each in recorder.seen[:2]] == [100, 100]


def test_view_with_options_in_event_loop_style() -> None:
    recorder = Recorder()

    async def main() -> None:
        config, _ = load_config({"transport": recorder, "access_token": "t"}, environ={})
        async with AsyncWebex(config=config) as client:
            await client.with_options(timeout=2, max_retries=0).rooms.get("x")
            await client.rooms.get("x", timeout=3)

    asyncio.run(main())
    assert [about(each.timeout) for each in recorder.seen] == [2, 3]


def test_option_stops_retries() -> None:
    recorder = Recorder(TransportError("cut"))
    with client_of(recorder) as client, pytest.raises(TransportError):
        client.with_options(max_retries=0).rooms.get("x")
    assert len(recorder.seen) == 1


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 10**400, "5", True])
@pytest.mark.parametrize("name", ["timeout", "idle_timeout", "max_response_size", "max_download_size"])
def test_wrong_limits_are_refused(name: str, value: Any) -> None:
    if name.startswith("max_") and value == 10**400:
        return
    recorder = Recorder()
    with pytest.raises(ConfigurationError, match=name):
        load_config({name: value}, environ={})
    with client_of(recorder) as client:
        with pytest.raises(ConfigurationError, match=name):
            client.with_options(**{name: value})  # type: ignore[misc]  # wrong on purpose
        if name == "timeout":
            with pytest.raises(ConfigurationError, match=name):
                client.rooms.get("x", timeout=value)
    assert not recorder.seen


def test_unknown_option_is_refused() -> None:
    with client_of(Recorder()) as client, pytest.raises(UnknownArgumentError, match="timout"):
        client.with_options(timout=5)  # type: ignore[call-arg]  # wrong on purpose


# Several requests over the conversation service and the key service; each has the time-out of the client.
OF_SEVERAL_REQUESTS = {
    "ensure",
    "mark_read",
    "react",
    "reactions",
    "read_status",
    "unreact",
    "with_read_status",
}


def test_every_method_of_every_resource_takes_a_timeout() -> None:
    missing = []
    for name in api.__all__:
        resource = getattr(api, name)
        if isinstance(resource, type) and issubclass(resource, api.resource.Resource | api.resource.AsyncResource):
            for method, function in inspect.getmembers(resource, inspect.isfunction):
                if method.startswith("_") or method == "listen" or method in OF_SEVERAL_REQUESTS:
                    continue
                if "timeout" not in inspect.signature(function).parameters:
                    missing.append(f"{name}.{method}")
    assert not missing


def test_resumed_download_keeps_the_limits_of_the_whole_call() -> None:
    recorder = Recorder(
        Answer(b"12345", {"content-length": "8", "cut": "yes"}),
        Answer(b"678", {"content-range": "bytes 5-7/8"}, status=206),
    )
    with client_of(recorder, timeout=30) as client:
        assert client.files.download("/contents/x", timeout=20, max_size=100) == b"12345678"
    first, second = recorder.seen
    assert (first.max_size, second.max_size) == (100, 95)
    assert second.stream_timeout is not None
    assert first.stream_timeout is not None
    assert second.stream_timeout < first.stream_timeout


@pytest.mark.parametrize("error", [DeadlineError("late"), ResponseTooLargeError("large")])
def test_download_that_reaches_a_limit_is_not_resumed(error: Exception) -> None:
    recorder = Recorder(error)
    with client_of(recorder) as client, pytest.raises(type(error)):
        client.files.download("/contents/x")
    assert len(recorder.seen) == 1


def test_redirects_count_towards_the_call_timeout() -> None:
    there = Answer(b"", {"location": "https://webexapis.com/v1/there"}, status=302)
    recorder = Recorder(there, there)
    with client_of(recorder, timeout=30) as client:
        client.request("GET", "/x")
    times = [each.timeout for each in recorder.seen]
    assert times == sorted(times, reverse=True)  # type: ignore[type-var]  # none is None
    assert len(set(times)) == 3


def test_token_response_size_is_limited() -> None:
    recorder = Recorder(Answer(b'{"access_token": "a", "expires_in": 9}'))
    with client_of(recorder, client_id="c", client_secret="s") as client:
        client.get_user_token("spark:people_read")
    assert recorder.seen[0].max_size == 64 * 1024
