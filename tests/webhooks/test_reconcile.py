"""The webhooks at Webex become what an app wants, and stay so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhooks.conftest import SECRET, posted, signed
from tests.webhooks.test_mounts import served_by_wsgi
from webex import AsyncWebex, Integration, Webex
from webex.emulator import Cloud
from webex.emulator.accounts import ADMIN_TOKEN, ALICE_TOKEN, BOB_TOKEN, CLIENT_ID, CLIENT_SECRET, REDIRECT_URIS
from webex.errors import ConfigurationError
from webex.runtime import drive
from webex.storage import SQLiteStorage
from webex.storage.access import AccessLease
from webex.webhooks import WebhookReceiver

URL = "http://127.0.0.1:1/hooks"
WANTED = {"messages:created": "roomType=direct", "rooms:created": None}


@pytest.fixture
def alice(webex_cloud: Cloud) -> Iterator[Webex]:
    with Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as client:
        yield client


@pytest.fixture
def integration(webex_cloud: Cloud, tmp_path: Path) -> Iterator[Integration]:
    storage = SQLiteStorage(tmp_path / "webex.db")
    with Integration(
        storage=storage,
        emulator_url=webex_cloud.url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uri=REDIRECT_URIS[0],
        scope="spark:all",
    ) as made:
        yield made
    storage.close()


def state(client: Webex) -> set[tuple[Any, ...]]:
    return {(each.resource, each.event, each.filter, each.target_url, each.status) for each in client.webhooks.list()}


def test_missing_webhooks_are_created_idempotently(alice: Webex) -> None:
    alice.webhooks.create(name="of another app", target_url=URL, resource="rooms", event="updated")
    others = state(alice)
    planned = alice.webhooks.ensure(URL, WANTED, secret=SECRET, dry_run=True)
    assert (planned.of("created"), state(alice)) == (["messages:created?roomType=direct", "rooms:created"], others)
    done = alice.webhooks.ensure(URL, WANTED, secret=SECRET)
    assert [change.what for change in done.changes] == [change.what for change in planned.changes]
    assert state(alice) == others | {
        ("messages", "created", "roomType=direct", URL, "active"),
        ("rooms", "created", None, URL, "active"),
    }
    assert not alice.webhooks.ensure(URL, WANTED, secret=SECRET)


def test_another_url_secret_or_filter_is_corrected(webex_cloud: Cloud, alice: Webex) -> None:
    first = alice.webhooks.ensure(URL, WANTED, secret=SECRET)
    moved = alice.webhooks.ensure(URL + "/new", WANTED, secret=SECRET)
    assert {each.id for each in moved.webhooks} == {each.id for each in first.webhooks}
    assert [change.why for change in moved.changes] == [f"its URL was {URL}"] * 2
    rotated = alice.webhooks.ensure(URL + "/new", WANTED, secret=["a new one", SECRET])
    assert rotated.of("updated") == ["messages:created?roomType=direct", "rooms:created"]
    assert {hook.secret for hook in webex_cloud.state.webhooks.values()} == {"a new one"}
    narrowed = alice.webhooks.ensure(
        URL + "/new", {"messages:created": ["roomType=group", "hasFiles=true"]}, secret="a new one"
    )
    assert narrowed.of("created") == ["messages:created?roomType=group", "messages:created?hasFiles=true"]
    assert sorted(narrowed.of("deleted")) == ["messages:created?roomType=direct", "rooms:created"]


def test_a_deactivated_webhook_is_reactivated(webex_cloud: Cloud, alice: Webex) -> None:
    alice.webhooks.ensure(URL, WANTED, secret=SECRET)
    next(iter(webex_cloud.state.webhooks.values())).status = "inactive"
    again = alice.webhooks.ensure(URL, WANTED, secret=SECRET)
    assert again.of("reactivated") == ["messages:created?roomType=direct"]
    assert {each[-1] for each in state(alice)} == {"active"}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    there=st.lists(
        st.tuples(
            st.sampled_from(["webex-python-sdk", "webex-python-sdk #12345678", "another app", "webex-python-sdk2"]),
            st.sampled_from([("messages", "created"), ("rooms", "created"), ("memberships", "deleted")]),
            st.sampled_from([URL, URL + "/old"]),
            st.sampled_from(["active", "inactive"]),
        ),
        max_size=5,
    ),
    wanted=st.sets(st.sampled_from(["messages:created", "rooms:created", "memberships:created"])),
)
def test_any_state_is_reconciled(
    webex_cloud: Cloud, alice: Webex, there: list[tuple[str, tuple[str, str], str, str]], wanted: set[str]
) -> None:
    webex_cloud.state.webhooks.clear()
    for name, (resource, event), url, status in there:
        made = alice.webhooks.create(name=name, target_url=url, resource=resource, event=event)
        next(hook for hook in webex_cloud.state.webhooks.values() if hook.name == made.name).status = status
    others = [each for each in alice.webhooks.list() if (each.name or "").split(" #")[0] != "webex-python-sdk"]
    alice.webhooks.ensure(URL, wanted, secret=SECRET)
    assert not alice.webhooks.ensure(URL, wanted, secret=SECRET)
    after = list(alice.webhooks.list())
    assert [each.to_dict() for each in after if each.id in {other.id for other in others}] == [
        each.to_dict() for each in others
    ]
    ours = [each for each in after if each.id not in {other.id for other in others}]
    assert sorted(f"{each.resource}:{each.event}" for each in ours) == sorted(wanted)
    assert {(each.target_url, each.status) for each in ours} <= {(URL, "active")}


def test_concurrent_workers_create_each_webhook_once(webex_cloud: Cloud, tmp_path: Path) -> None:
    stores = [SQLiteStorage(tmp_path / "webex.db") for _ in range(4)]
    clients = [Webex(ALICE_TOKEN, emulator_url=webex_cloud.url, storage=store) for store in stores]
    results: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda client=client: results.append(client.webhooks.ensure(URL, WANTED, secret=SECRET))
        )
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(len(result.changes) for result in results) == [0, 0, 0, 2]
    assert len(webex_cloud.state.webhooks) == 2
    for client, store in zip(clients, stores, strict=True):
        client.close()
        store.close()


def test_workers_without_a_shared_storage_leave_no_duplicates(webex_cloud: Cloud) -> None:
    async def main() -> None:
        clients = [AsyncWebex(ALICE_TOKEN, emulator_url=webex_cloud.url) for _ in range(5)]
        await asyncio.gather(*(client.webhooks.ensure(URL, WANTED, secret=SECRET) for client in clients))
        await clients[0].webhooks.ensure(URL, WANTED, secret=SECRET)
        for client in clients:
            await client.aclose()

    asyncio.run(main())
    assert sorted(hook.resource for hook in webex_cloud.state.webhooks.values()) == ["messages", "rooms"]


@pytest.mark.parametrize(
    ("url", "wanted", "options", "told"),
    [
        ("ftp://x", WANTED, {}, "http or https URL"),
        (URL, "messages:created", {}, "list or a mapping"),
        (URL, ["messages"], {}, "resource:event"),
        (URL, [5], {}, "not 5"),
        (URL, WANTED, {"secret": ""}, "secret is the text"),
        (URL, WANTED, {"name": "a #1"}, "without #"),
    ],
    ids=["url", "text", "no-event", "number", "secret", "name"],
)
def test_invalid_arguments_are_refused_before_any_call(
    alice: Webex, url: str, wanted: Any, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        alice.webhooks.ensure(url, wanted, **{"secret": SECRET, **options})


def test_sign_out_deletes_the_webhooks_of_the_user(webex_cloud: Cloud, integration: Integration) -> None:
    for key, token in (("alice", ALICE_TOKEN), ("bob", BOB_TOKEN)):
        integration.adopt(key, token)
    hooks = WebhookReceiver(integration, secret=SECRET, url=URL, check_every=0)
    for key in ("alice", "bob"):
        hooks.reconcile(key, WANTED)
    integration.user("alice").webhooks.create(name="by hand", target_url=URL, resource="rooms", event="updated")
    assert any(found.namespace == "webhooks" for found in integration.stored("alice"))
    assert integration.sign_out("alice")
    left = [(hook.name.split(" #")[0], hook.resource) for hook in webex_cloud.state.webhooks.values()]
    assert sorted(left) == [("by hand", "rooms"), ("webex-python-sdk", "messages"), ("webex-python-sdk", "rooms")]
    assert not integration.stored("alice")


def test_the_owner_is_found_by_the_user_key_of_the_app(webex_cloud: Cloud, integration: Integration) -> None:
    integration.adopt("the app's name for Bob", BOB_TOKEN)
    hooks = WebhookReceiver(integration, secret=SECRET, url=URL, check_every=0)
    made = hooks.reconcile("the app's name for Bob", ["messages:created"])
    assert made.webhooks[0].created_by is not None
    seen: list[Any] = []
    hooks.on("messages")(lambda event: seen.append((event.user_key, event.client.people.me().display_name)))
    from webex.ids import person_uuid

    with hooks:
        hooks.receive(*posted(owner=person_uuid(made.webhooks[0].created_by)))
        hooks.drain()
    assert seen == [("the app's name for Bob", "Bob Example")]


def test_the_watchdog_reactivates_and_logs_the_reason(
    webex_cloud: Cloud, integration: Integration, caplog: pytest.LogCaptureFixture
) -> None:
    integration.adopt("alice", ALICE_TOKEN)
    hooks = WebhookReceiver(integration, secret=SECRET, url=URL)
    hooks.reconcile("alice", WANTED)
    for hook in webex_cloud.state.webhooks.values():
        hook.status = "inactive"
    changes = WebhookReceiver(integration, secret=SECRET, url=URL).check()  # another process knows it from the storage
    assert [change.action for change in changes] == ["reactivated", "reactivated"]
    assert "this process refused none" in caplog.text
    assert not hooks.check()
    for hook in webex_cloud.state.webhooks.values():
        hook.status = "inactive"
    assert hooks.receive(*posted(secret="another")).status == 401  # and it begins to look by itself
    with hooks:
        while any(hook.status == "inactive" for hook in webex_cloud.state.webhooks.values()):
            threading.Event().wait(0.05)
    assert "Webex had deactivated 2 webhooks" in caplog.text


def test_a_receiver_without_a_url_is_refused(alice: Webex) -> None:
    with pytest.raises(ConfigurationError, match="url="):
        WebhookReceiver(alice, secret=SECRET).reconcile(None, WANTED)


@pytest.fixture
def admin(webex_cloud: Cloud) -> Iterator[Webex]:
    with Webex(ADMIN_TOKEN, emulator_url=webex_cloud.url) as client:
        yield client


def owners(client: Webex) -> list[tuple[Any, ...]]:
    return sorted((each.resource, each.owned_by) for each in client.webhooks.list())


def test_webhooks_of_the_organization_and_of_the_user_leave_each_other_alone(admin: Webex) -> None:
    admin.webhooks.ensure(URL, ["messages:created"], secret=SECRET)
    admin.webhooks.ensure(URL, ["rooms:created"], secret=SECRET, owned_by="org")
    assert not admin.webhooks.ensure(URL, ["messages:created"], secret=SECRET)
    assert not admin.webhooks.ensure(URL, ["rooms:created"], secret=SECRET, owned_by="org")
    assert owners(admin) == [("messages", "creator"), ("rooms", "org")]
    assert [each.resource for each in admin.webhooks.list(owned_by="org")] == ["rooms"]
    assert admin.webhooks.ensure(URL, [], secret=SECRET, owned_by="org").of("deleted") == ["rooms:created"]
    assert owners(admin) == [("messages", "creator")]
    with pytest.raises(ConfigurationError, match="owned_by is 'team'"):
        admin.webhooks.ensure(URL, [], secret=SECRET, owned_by="team")  # type: ignore[arg-type]  # on purpose


def test_a_receiver_keeps_webhooks_of_the_organization_as_such(webex_cloud: Cloud, integration: Integration) -> None:
    integration.adopt("admin", ADMIN_TOKEN)
    hooks = WebhookReceiver(integration, secret=SECRET, url=URL, check_every=0)
    hooks.reconcile("admin", ["messages:created"])
    hooks.reconcile("admin", ["rooms:created"], owned_by="org")
    for hook in webex_cloud.state.webhooks.values():
        hook.status = "inactive"
    later = WebhookReceiver(integration, secret=SECRET, url=URL, check_every=0)
    assert sorted(change.action for change in later.check()) == ["reactivated", "reactivated"]
    assert not later.check()
    client = integration.user("admin")
    assert owners(client) == [("messages", "creator"), ("rooms", "org")]
    hooks.reconcile("admin", [], owned_by="org")
    assert not later.check()
    assert owners(client) == [("messages", "creator")]
    integration.sign_out("admin")
    assert not webex_cloud.state.webhooks


def test_a_bots_webhooks_are_kept_by_a_process_that_did_not_make_them(webex_cloud: Cloud, tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "webex.db")

    def receiver() -> WebhookReceiver[Webex]:
        return WebhookReceiver(
            Webex(ALICE_TOKEN, emulator_url=webex_cloud.url), secret=SECRET, url=URL, storage=storage, check_every=0
        )

    receiver().reconcile(wanted=WANTED)
    for hook in webex_cloud.state.webhooks.values():
        hook.status = "inactive"
    assert [change.action for change in receiver().check()] == ["reactivated"] * 2
    assert not receiver().check()
    receiver().reconcile(wanted=["rooms:created"])
    assert not receiver().check()
    receiver().reconcile(wanted=[])
    assert not receiver().check()
    assert not webex_cloud.state.webhooks
    storage.close()


class Counting:
    """A storage that counts what is read of the records of webhooks."""

    def __init__(self, inner: SQLiteStorage) -> None:
        self._inner, self.reads = inner, 0
        self.capabilities, self.asynchronous = inner.capabilities, False

    def bind(self, namespace: str) -> Any:
        binding, outer = self._inner.bind(namespace), self

        class Binding:
            def __getattr__(self, name: str) -> Any:
                return getattr(binding, name)

            def get(self, key: str) -> Any:
                outer.reads += namespace == "webhooks"
                return binding.get(key)

        return Binding()


def test_the_work_for_many_users_grows_with_their_number_and_no_faster(webex_cloud: Cloud, tmp_path: Path) -> None:
    inner = SQLiteStorage(tmp_path / "webex.db")
    storage = Counting(inner)
    reads: dict[int, int] = {}
    with Integration(
        storage=storage,
        emulator_url=webex_cloud.url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uri=REDIRECT_URIS[0],
        scope="spark:all",
    ) as integration:
        hooks = WebhookReceiver(integration, secret=SECRET, url=URL, check_every=0)
        hooks.on("messages")(lambda event: None)
        for number in range(8):
            integration.adopt(f"user {number}", ALICE_TOKEN)
            hooks.reconcile(f"user {number}", WANTED)
            if number in (3, 7):
                storage.reads = 0
                hooks.check()
                with hooks:
                    assert len(hooks.catch_up(since=60)) == number + 1
                reads[number + 1] = storage.reads
    inner.close()
    assert reads[8] <= 2 * reads[4]


def test_a_check_that_another_worker_has_taken_over_ends(
    webex_cloud: Cloud, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, token in (("alice", ALICE_TOKEN), ("bob", BOB_TOKEN)):
        integration.adopt(key, token)
    hooks = WebhookReceiver(integration, secret=SECRET, url=URL)
    for key in ("alice", "bob"):
        hooks.reconcile(key, WANTED)
    for hook in webex_cloud.state.webhooks.values():
        hook.status = "inactive"

    async def lost(lease: AccessLease, ttl: float) -> bool:
        return False

    monkeypatch.setattr(AccessLease, "renew", lost)
    drive(hooks._keeper.check_if_due())
    assert sorted(hook.status for hook in webex_cloud.state.webhooks.values()) == ["active"] * 2 + ["inactive"] * 2


def test_a_secret_is_rotated_under_traffic_and_no_delivery_is_refused(
    webex_cloud: Cloud, alice: Webex, tmp_path: Path
) -> None:
    new, said, complete = "the new secret of the webhooks", 12, threading.Event()
    arrived: set[str] = set()
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks = WebhookReceiver(alice, secret=[new, SECRET], storage=storage)

    @hooks.on("messages", "created")
    def handle(event: Any) -> None:
        arrived.add(event.key)
        if len(arrived) == said:
            complete.set()

    with Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as bob, served_by_wsgi(hooks.wsgi) as port:
        url = f"http://127.0.0.1:{port}/hooks"
        alice.webhooks.ensure(url, ["messages:created"], secret=SECRET)
        for number in range(said):
            bob.messages.create(to_person_email="alice@example.com", text=str(number))
            if number == said // 2:
                rotated = alice.webhooks.ensure(url, ["messages:created"], secret=[new, SECRET])
                assert rotated.of("updated") == ["messages:created"]
        assert complete.wait(60)
        webex_cloud.settle(timeout=30)
    hooks.close()
    storage.close()
    attempts = list(webex_cloud.delivery.attempts)
    assert {attempt.status for attempt in attempts} == {200}
    given = {attempt.body: attempt.headers["X-Spark-Signature"] for attempt in attempts}
    for secret in (new, SECRET):
        assert any(signed(body, secret)[1]["X-Spark-Signature"] == signature for body, signature in given.items())
