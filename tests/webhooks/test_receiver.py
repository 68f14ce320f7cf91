"""What a receiver answers, what it hands to handlers and how often; in both styles."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.plain_storage import Plain
from tests.webhooks.conftest import CREATED, SECRET, posted, signed
from webex import AsyncWebex, Integration, Webex
from webex.emulator.accounts import ALICE_ID, BOB_ID
from webex.errors import ConfigurationError, StorageError
from webex.ids import to_hydra_id
from webex.storage import MemoryStorage, SQLiteStorage
from webex.webhooks import ReceivedEvent, Retry, WebhookReceiver

APP: dict[str, Any] = {
    "client_id": "C1",
    "client_secret": "not a secret of anything",
    "redirect_uri": "http://127.0.0.1/callback",
    "scope": "spark:all",
}


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    store = SQLiteStorage(tmp_path / "inbox.db")
    yield store
    store.close()


def receiver(storage: Any, **options: Any) -> tuple[WebhookReceiver[Webex], list[ReceivedEvent[Any, Webex]]]:
    """A blocking receiver and what its handler of messages was given."""
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, **options)
    seen: list[ReceivedEvent[Any, Webex]] = []
    hooks.on("messages")(seen.append)
    return hooks, seen


def test_a_signed_delivery_is_handled_after_its_response(storage: SQLiteStorage) -> None:
    answered = threading.Event()
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    seen: list[str] = []

    @hooks.on("messages", "created")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        assert answered.wait(60)
        seen.append(event.key)

    body, headers = posted(id="M1")
    with hooks:
        assert hooks.receive(body, headers).status == 200
        answered.set()
        hooks.drain()
    assert seen == ["messages:created:M1"]


def test_a_signed_delivery_is_handled_in_event_loop_style(storage: SQLiteStorage) -> None:
    async def main() -> list[tuple[str, bool]]:
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        seen: list[tuple[str, bool]] = []

        @hooks.on("messages", "created")
        async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            seen.append((event.key, threading.current_thread() is threading.main_thread()))

        @hooks.on("*")
        def plain(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            seen.append((event.key, threading.current_thread() is threading.main_thread()))

        async with hooks:
            assert (await hooks.receive(*posted(id="M1"))).status == 200
            await hooks.drain()
        return seen

    assert asyncio.run(main()) == [("messages:created:M1", True), ("messages:created:M1", False)]


@pytest.mark.parametrize(
    ("delivery", "status"),
    [
        pytest.param(posted(secret="another"), 401, id="another-secret"),
        pytest.param((posted()[0], {}), 401, id="no-signature"),
        pytest.param((posted()[0] + b" ", posted()[1]), 401, id="changed"),
        pytest.param(signed(b"no JSON"), 400, id="no-json"),
        pytest.param(signed(b"[]"), 400, id="no-object"),
        pytest.param(
            signed(b'{"resource": "messages", "event": "created", "data": {"id": "\xff"}}'), 400, id="no-utf8"
        ),
        pytest.param(signed(b"x" * 2001), 413, id="too-large"),
        pytest.param(posted("meetings", "started", id="1"), 200, id="of-no-handler"),
    ],
)
def test_refused_deliveries_are_counted_and_reach_no_handler(
    storage: SQLiteStorage, delivery: tuple[bytes, dict[str, str]], status: int
) -> None:
    hooks, seen = receiver(storage, max_size=2000)
    with hooks:
        assert hooks.receive(*delivery).status == status
        hooks.drain()
    assert not seen
    assert hooks.health.refused == ({} if status == 200 else {status: 1})


def test_both_secrets_are_accepted_during_a_rotation(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=["the new one", SECRET], storage=storage)
    hooks.on("messages")(lambda event: None)
    with hooks:
        assert hooks.receive(*posted(secret="the new one")).status == 200
        assert hooks.receive(*posted(secret=SECRET)).status == 200
        assert hooks.receive(*posted(secret="an older one")).status == 401


@pytest.mark.parametrize("mode", ["inbox", "inline", "lossy"])
def test_a_duplicate_is_dropped_on_any_worker(tmp_path: Path, mode: Any) -> None:
    stores = [SQLiteStorage(tmp_path / "inbox.db") for _ in range(2)]
    (first, seen), (second, too) = (receiver(store, mode=mode) for store in stores)
    delivery = posted(id="M1")
    with first, second:
        for hooks in (first, second, first):
            assert hooks.receive(*delivery).status == 200
            hooks.drain()
    assert [event.key for event in seen + too] == ["messages:created:M1"]
    assert first.health.repeats + second.health.repeats == 2
    for store in stores:
        store.close()


def test_distinct_events_with_equal_keys_are_not_duplicates(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    seen: list[str] = []
    hooks.on("*")(lambda event: seen.append(event.key))
    back = "2026-01-06T09:00:00.000Z"
    with hooks:
        for resource, event, data in (
            ("memberships", "created", {"id": "S1", "created": CREATED}),
            ("memberships", "created", {"id": "S1", "created": CREATED}),  # the one repetition
            ("memberships", "created", {"id": "S1", "created": back}),  # came back into the room
            ("rooms", "updated", {"id": "R1"}),
            ("rooms", "updated", {"id": "R1"}),
            ("telephony_calls", "updated", {"callId": "1", "eventTimestamp": CREATED}),
            ("telephony_calls", "updated", {"callId": "1", "eventTimestamp": back}),
        ):
            assert hooks.receive(*posted(resource, event, **data)).status == 200
        hooks.drain()
    assert sorted(seen) == [
        "memberships:created:S1",
        "memberships:created:S1",
        "rooms:updated:R1",
        "rooms:updated:R1",
        "telephony_calls:updated:",
        "telephony_calls:updated:",
    ]


@pytest.mark.parametrize(("each_owner", "times"), [(True, 2), (False, 1)], ids=["each-owner", "once-for-all"])
def test_two_users_with_a_webhook_for_one_message(storage: SQLiteStorage, each_owner: bool, times: int) -> None:
    hooks = WebhookReceiver(Integration(storage=storage, **APP), secret=SECRET, each_owner=each_owner)
    seen: list[Any] = []
    hooks.on("messages")(lambda event: seen.append(event.user_key))
    with hooks:
        for owner in (ALICE_ID, BOB_ID):
            hooks.receive(*posted(id="M1", owner=owner))
        hooks.drain()
    assert sorted(seen) == sorted([ALICE_ID, BOB_ID][:times])


def test_events_of_one_room_are_serial_and_rooms_are_concurrent(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, concurrency=4)
    order: list[str] = []
    other = threading.Event()

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        if event.raw["id"] == "first":
            assert other.wait(60), "another room waited for this one"
        order.append(event.raw["id"])
        if event.raw["roomId"] == "R2":
            other.set()

    with hooks:
        for name, room in (("first", "R1"), ("second", "R1"), ("elsewhere", "R2")):
            hooks.receive(*posted(id=name, roomId=room))
        hooks.drain()
    assert order == ["elsewhere", "first", "second"]


def test_a_handler_may_request_a_retry(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    calls: list[str] = []
    failed: list[str] = []

    @hooks.on("messages")
    def fine(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append("fine")

    @hooks.on("messages")
    def stubborn(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append("stubborn")
        raise Retry(after=0)

    @hooks.on("messages")
    def broken(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append("broken")
        raise ValueError("a mistake of the app")

    @hooks.on_error
    def tell(event: ReceivedEvent[Any, Webex], error: BaseException) -> None:
        failed.append(type(error).__name__)

    with hooks:
        hooks.receive(*posted())
        hooks.drain()
    assert calls == ["fine", "stubborn", "stubborn", "stubborn", "broken"]
    assert failed == ["Retry", "ValueError"]


def test_nack_redelivers_the_event(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    calls: list[int] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append(len(calls))
        if len(calls) < 5:
            event.nack()

    with hooks:
        hooks.receive(*posted())
        hooks.drain()
    assert calls == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf"), True, "5", None, 86_401])
def test_nack_refuses_what_is_no_time(storage: SQLiteStorage, after: Any) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    told: list[str] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        event.nack(after)

    @hooks.on_error
    def tell(event: ReceivedEvent[Any, Webex], error: BaseException) -> None:
        told.append(f"{type(error).__name__}: {error}")

    with hooks:
        hooks.receive(*posted())
        hooks.drain()
    assert len(told) == 1
    assert told[0].startswith("ConfigurationError: nack(after=…) is ")


def test_inline_mode_answers_after_the_handler_and_503_for_a_retry(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode="inline")
    calls: list[bool] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append(event.redelivered)
        if len(calls) == 1:
            event.nack(after=60)

    delivery = posted()
    refused = hooks.receive(*delivery)
    assert (refused.status, refused.headers) == (503, {"retry-after": "60"})
    assert hooks.receive(*delivery).status == 200
    assert hooks.receive(*delivery).text == "A repetition."
    assert calls == [False, False]


class Failing(MemoryStorage):
    """A storage that can't be written while `fails`."""

    fails = True

    def bind(self, namespace: str) -> Any:
        binding, outer = super().bind(namespace), self

        class Binding:
            def __getattr__(self, name: str) -> Any:
                return getattr(binding, name)

            def put_if_version(self, *args: Any, **options: Any) -> Any:
                if outer.fails:
                    raise StorageError("The disk is full.")
                return binding.put_if_version(*args, **options)

        return Binding()


@pytest.mark.parametrize("mode", ["inbox", "inline", "lossy"])
def test_a_failing_storage_is_a_503_and_the_retry_is_handled(mode: Any) -> None:
    storage = Failing()
    hooks, seen = receiver(storage, mode=mode)
    delivery = posted(id="M1")
    with hooks:
        refused = hooks.receive(*delivery)
        assert (refused.status, "retry-after" in refused.headers) == (503, True)
        storage.fails = False
        assert hooks.receive(*delivery).status == 200
        hooks.drain()
    assert [event.key for event in seen] == ["messages:created:M1"]


def test_a_closed_receiver_refuses_deliveries(storage: SQLiteStorage) -> None:
    hooks, seen = receiver(storage)
    hooks.close()
    assert hooks.receive(*posted()).status == 503
    assert not seen


def test_one_handler_serves_webhooks_and_the_socket(webex_cloud: Any, storage: SQLiteStorage) -> None:
    from webex.emulator.accounts import ALICE_TOKEN

    async def main() -> list[tuple[str, str | None, str | None]]:
        async with AsyncWebex(ALICE_TOKEN, emulator_url=webex_cloud.url, storage=storage) as alice:
            hooks = WebhookReceiver(alice, secret=SECRET)
            seen: list[tuple[str, str | None, str | None]] = []

            @hooks.on("messages", "created")
            async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
                seen.append((event.key, event.actor_id, (await event.fetch()).text))

            room = await alice.rooms.create(title="Two ways in")
            async with hooks, alice.messages.listen() as events:
                sent = await alice.messages.create(room_id=room.id, text="Hello")
                async for event in events:
                    await hooks.handle(event)
                    break
                actor = {"actorId": sent.person_id, "personId": sent.person_id}
                body, _ = posted(id=sent.id)
                await hooks.receive(
                    *signed(body.replace(b'"data":', f'"actorId": "{actor["actorId"]}", "data":'.encode()))
                )
                await hooks.drain()
            return seen

    first, second = asyncio.run(main())
    assert first == second
    assert first[2] == "Hello"


def test_the_client_of_an_event_is_that_of_the_webhooks_owner(webex_cloud: Any, storage: SQLiteStorage) -> None:
    from webex.emulator.accounts import BOB_TOKEN

    app = Integration(storage=storage, emulator_url=webex_cloud.url, **APP)
    app.adopt(BOB_ID, BOB_TOKEN)
    hooks = WebhookReceiver(app, secret=SECRET)
    with Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as bob:
        room = bob.rooms.create(title="Bob's")
        sent = bob.messages.create(room_id=room.id, text="Only Bob can read it")
    texts: list[str | None] = []

    @hooks.on("messages", "created")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        texts.append(event.fetch().text)

    with hooks, app:
        hooks.receive(*posted(id=sent.id, owner=BOB_ID))
        hooks.drain()
    assert texts == ["Only Bob can read it"]


@pytest.mark.parametrize("mode", ["inbox", "inline"])
def test_a_plain_handler_fetches_on_an_event_loops_receiver(
    webex_cloud: Any, storage: SQLiteStorage, mode: Any
) -> None:
    from webex.emulator.accounts import ALICE_TOKEN

    async def main() -> list[Any]:
        async with AsyncWebex(ALICE_TOKEN, emulator_url=webex_cloud.url, storage=storage) as alice:
            room = await alice.rooms.create(title="Plain")
            sent = await alice.messages.create(room_id=room.id, text="Hello")
            hooks = WebhookReceiver(alice, secret=SECRET, mode=mode)
            seen: list[Any] = []

            @hooks.on("messages")
            def handle(event: ReceivedEvent[Any, Any]) -> None:
                seen.append(event.fetch().text)

            async with hooks:
                await hooks.receive(*posted(id=sent.id))
                await hooks.drain()
            return seen

    assert asyncio.run(main()) == ["Hello"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: WebhookReceiver("a token", secret=SECRET), "an integration or a client"),  # type: ignore[call-overload]  # on purpose
        (lambda: WebhookReceiver(Webex("t"), secret=""), "secret is empty"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, mode="queue"), "'inbox', 'inline' or 'lossy'"),  # type: ignore[call-overload]  # on purpose
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, lease=0.1), "lease is 0.1"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, name="a #1"), "without #"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, storage=Plain()), "lacks compare_and_swap"),
        (lambda: WebhookReceiver(AsyncWebex("t"), secret=SECRET).wsgi, "blocking style"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET).on("messages")(_asynchronous), "is asynchronous"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET).on("messages:created"), "such as"),
        (lambda: Retry(after=-1), "0 to 86400"),
        (lambda: Retry(after=float("nan")), "after.* is nan"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, lease=float("nan")), "lease is nan"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, check_every=-1), "check_every is -1"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, check_every=float("inf")), "check_every is inf"),
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, check_every="600"), "check_every is '600'"),  # type: ignore[arg-type]  # on purpose
        (lambda: WebhookReceiver(Webex("t"), secret=SECRET, concurrency=0), "concurrency is 0"),
    ],
    ids=[
        *("source", "secret", "mode", "lease", "name", "storage", "wsgi", "handler", "event", "retry", "retry-nan"),
        *("lease-nan", "check-negative", "check-endless", "check-text", "concurrency"),
    ],
)
def test_invalid_arguments_are_refused_at_construction(make: Callable[[], Any], told: str) -> None:
    def whole() -> None:
        made = make()
        if callable(made):
            made(print)

    with pytest.raises(ConfigurationError, match=told):
        whole()


async def _asynchronous(event: Any) -> None: ...


def test_a_plain_storage_works_inline() -> None:
    hooks, seen = receiver(Plain(), mode="inline")
    delivery = posted(id="M1")
    assert [hooks.receive(*delivery).text for _ in range(2)] == ["Handled.", "A repetition."]
    assert len(seen) == 1


def test_several_event_loops_can_use_a_receiver_in_turn(storage: SQLiteStorage) -> None:
    async def once(hooks: WebhookReceiver[AsyncWebex], name: str) -> None:
        assert (await hooks.receive(*posted(id=name))).status == 200
        await hooks.drain()
        await hooks.aclose()

    seen: list[str] = []
    for name in ("M1", "M2"):
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        hooks.on("messages")(lambda event: seen.append(event.raw["id"]))
        asyncio.run(once(hooks, name))
    assert seen == ["M1", "M2"]


def test_a_person_is_named_as_in_listen(storage: SQLiteStorage) -> None:
    hooks, seen = receiver(storage)
    bob = to_hydra_id("PEOPLE", BOB_ID)
    body, _ = posted(personId=bob, personEmail="bob@example.com")
    with hooks:
        hooks.receive(*signed(body.replace(b'"data":', f'"actorId": "{bob}", "data":'.encode())))
        hooks.drain()
    actor = seen[0].actor
    assert actor is not None
    assert (actor.id, actor.email, actor.kind) == (bob, "bob@example.com", "person")
