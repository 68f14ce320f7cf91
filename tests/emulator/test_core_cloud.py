"""The cloud as a tool: accounts, clock, snapshots, files, the log of requests, hosts."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.helpers import fetch, is_live, login_url, refresh, signed_in
from tests.support.ports import free_port
from tests.support.threads import running_threads
from webex.emulator import Cloud, Emulator, PortInUseError
from webex.emulator.accounts import ADMIN_TOKEN, ALICE_TOKEN, BOB_TOKEN, BOT_TOKEN, CLIENT_ID, CLIENT_SECRET
from webex.emulator.seed import SeedError
from webex.emulator.server import listen

EXPIRY = "/v1/authorizations/tokenExpiry"


def test_the_well_known_accounts_are_the_same_in_every_emulator() -> None:
    with Emulator() as one, Emulator() as two:
        for token in (ALICE_TOKEN, BOB_TOKEN, ADMIN_TOKEN, BOT_TOKEN):
            assert is_live(one, token)
            assert is_live(two, token)
        assert {key: value for key, value in one.env.items() if "URL" not in key} == {
            key: value for key, value in two.env.items() if "URL" not in key
        }
        assert one.env["WEBEX_CLIENT_ID"] == CLIENT_ID
        assert one.env["WEBEX_EMULATOR_URL"] == one.url != two.url


def test_two_emulators_never_issue_the_same_token() -> None:
    assert Cloud().token_for("alice") != Cloud().token_for("alice")


def test_a_random_seed_makes_runs_repeatable() -> None:
    one, two = Cloud(seed=7), Cloud(seed=7)
    assert [one.new_uuid(), one.token_for("bob")] == [two.new_uuid(), two.token_for("bob")]
    first = one.new_uuid()
    one.reset()
    one.new_uuid(), one.token_for("bob")
    assert one.new_uuid() == first


def test_an_error_has_the_format_of_the_cloud(webex_cloud: Cloud) -> None:
    answer = fetch(webex_cloud.url + EXPIRY, headers={"trackingid": "mine_1"})
    assert answer.status == 401
    body = answer.json()
    assert body["trackingId"] == "mine_1" == answer.headers["trackingid"]
    assert body["errors"] == [{"description": body["message"]}]
    assert fetch(webex_cloud.url + "/v1/no/such/thing").status == 404


def test_a_wrong_method_is_405_with_allow(webex_cloud: Cloud) -> None:
    answer = fetch(webex_cloud.url + "/v1/access_token", "DELETE")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_a_trailing_slash_is_ignored(webex_cloud: Cloud) -> None:
    assert fetch(webex_cloud.url + EXPIRY + "/", token=ALICE_TOKEN).status == 200


def test_a_head_request_has_the_headers_alone(webex_cloud: Cloud) -> None:
    answer = fetch(webex_cloud.url + EXPIRY, "HEAD", token=ALICE_TOKEN)
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


FOREIGN = ["evil.example", "evil.example:80", "webexapis.com.evil.example", "notwebex.com", "", "[::1].evil.example"]


@pytest.mark.parametrize("host", [*FOREIGN, "127.0.0.1:80.evil.example", "localhost:80@evil.example"])
def test_a_foreign_host_name_is_refused(webex_cloud: Cloud, host: str) -> None:
    answer = fetch(webex_cloud.url + EXPIRY, token=ALICE_TOKEN, headers={"host": host})
    assert answer.status == 421


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "[::1]:8", "wdm-a.wbx2.com", "webexapis.com", "me.example"]
)
def test_loopback_cloud_and_allowed_host_names_are_served(host: str) -> None:
    with Emulator(hosts=("me.example",)) as cloud:
        assert fetch(cloud.url + EXPIRY, token=ALICE_TOKEN, headers={"host": host}).status == 200


def test_urls_in_answers_are_built_from_the_host_that_was_asked(webex_cloud: Cloud) -> None:
    url = webex_cloud.url + "/v1/.well-known/openid-configuration"
    assert fetch(url, headers={"host": "idbroker.webex.com"}).json()["issuer"] == "http://idbroker.webex.com/idb"


def test_the_date_header_follows_the_clouds_clock(webex_cloud: Cloud) -> None:
    webex_cloud.clock.set(86400.0 * 365)
    assert fetch(webex_cloud.url + EXPIRY).headers["date"].startswith("Fri, 01 Jan 1971 00:0")


def test_the_clock_advances_freezes_and_resumes() -> None:
    clock = Cloud().clock
    start = clock.freeze()
    assert clock.time() == start
    assert clock.advance(50) == start + 50
    assert clock.set(1000) == 1000 == clock.time()
    clock.run()
    assert 1000 <= clock.time() < 1600
    before = time.time()
    clock.reset()
    assert before <= clock.time() <= time.time()


def test_a_taken_port_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port}.*in use.*Choose another"), Emulator(port=port):
            pass


def test_a_stopped_emulator_releases_threads_and_port() -> None:
    before, port = running_threads(), free_port()
    with Emulator(port=port) as cloud:
        fetch(cloud.url + EXPIRY)
        assert running_threads() - before
    assert not running_threads() - before
    with Emulator(port=port) as again:
        assert again.url == cloud.url


def test_start_and_reset_are_fast() -> None:
    with Emulator():
        pass  # the imports
    start = time.process_time()
    with Emulator() as cloud:
        ready = time.process_time() - start
        for number in range(50):
            cloud.add_person(f"p{number}@example.com")
        start = time.process_time()
        cloud.reset()
        reset = time.process_time() - start
    assert ready < 0.3  # seconds of this process's own processor time, which other programs take no part in
    assert reset < 0.1


def test_reset_restores_the_initial_state(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    webex_cloud.add_person("carol@example.com")
    webex_cloud.clock.advance(1000)
    webex_cloud.faults.add(status=500)
    webex_cloud.set(rotation="strict")
    webex_cloud.reset()
    assert not is_live(webex_cloud, tokens["access_token"])
    assert len(webex_cloud.requests) == 1
    assert webex_cloud.settings.rotation == "off"
    with pytest.raises(LookupError, match="carol"):
        webex_cloud.token_for("carol")


def test_a_snapshot_restores_people_and_tokens(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    snapshot = webex_cloud.snapshot()
    webex_cloud.revoke_consent("alice")
    webex_cloud.restore(snapshot)
    assert is_live(webex_cloud, tokens["access_token"])
    renewed = refresh(webex_cloud, tokens["refresh_token"])
    assert renewed.status == 200
    assert webex_cloud.revoke_consent("alice") == 3  # the index of tokens came back too


def test_a_cloud_is_restored_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "cloud.data"
    with Emulator(data=file) as cloud:
        tokens = signed_in(cloud)
        cloud.clock.advance(3600)
        then = cloud.now()
        made = cloud.new_uuid()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with Emulator(data=file) as cloud:
        assert is_live(cloud, tokens["access_token"])
        assert 0 <= cloud.now() - then < 60
        assert cloud.new_uuid() != made
        assert refresh(cloud, tokens["refresh_token"]).json()["access_token"] != tokens["access_token"]


def test_a_file_of_another_format_is_not_loaded(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("hello")
    with pytest.raises(ValueError, match="not a data file"):
        Emulator(data=file)
    assert file.read_text() == "hello"


def test_a_seed_adds_people_apps_and_settings(tmp_path: Path) -> None:
    token = "5eed" * 16 + "_A52D_carol"
    seed = {
        "people": [{"email": "carol@example.com", "displayName": "Carol C", "admin": True, "token": token}],
        "integrations": [{"name": "Mine", "clientId": "Cmine", "redirectUris": ["http://127.0.0.1:1/cb"]}],
        "settings": {"rotation": "grace"},
    }
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(seed))
    with Emulator(seed=file) as cloud:
        for _ in range(2):
            assert is_live(cloud, token)
            assert cloud.settings.rotation == "grace"
            url = login_url(cloud, client_id="Cmine", redirect_uri="http://127.0.0.1:1/cb")
            assert "code=" in cloud.sign_in(url, as_="carol")
            cloud.reset()


@pytest.mark.parametrize(
    ("seed", "says"),
    [
        ({"persons": []}, "persons"),
        ({"people": [{"email": 5}]}, "email"),
        ({"people": [{"email": "nonsense"}]}, "not an email"),
        ({"people": [{"email": "alice@example.com"}]}, "taken"),
        ({"settings": {"rotatoin": "off"}}, "rotatoin"),
        ({"settings": {"rotation": "sometimes"}}, "sometimes"),
        ({"integrations": [{"name": "x", "clientId": CLIENT_ID}]}, "taken"),
        ({"rooms": [{"title": "x", "by": "zoe"}]}, "zoe"),
        ({"rooms": [{"members": ["bob", "bot"]}]}, "one member, not 2"),
        ({"rooms": [{"members": ["alice"]}]}, "needs two people"),
    ],
)
def test_a_wrong_seed_names_the_wrong_entry(seed: dict[str, object], says: str) -> None:
    with pytest.raises(SeedError, match=says):
        Emulator(seed=seed)


def test_the_log_counts_requests_without_keeping_secrets(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    refresh(webex_cloud, tokens["refresh_token"])
    refresh(webex_cloud, "wrong-token-wrong-token")
    fetch(webex_cloud.url + EXPIRY, token=tokens["access_token"])
    log = webex_cloud.requests
    assert log.refreshes == 1
    assert log.count(grant_type="refresh_token") == 2
    assert log.count(grant_type="refresh_token", status=400) == 1
    assert log.count(path="/v1/auth*", method="GET", status=200) == 1
    assert log.count(client_id=CLIENT_ID) == 4
    assert log.find(route=EXPIRY)[0].person_id == webex_cloud.state.people[log.find(route=EXPIRY)[0].person_id or ""].id
    everything = repr([entry.as_dict() for entry in log])
    for secret in (*tokens.values(), CLIENT_SECRET, "wrong-token"):
        if isinstance(secret, str) and len(secret) > 16 and " " not in secret:
            assert secret not in everything
    with pytest.raises(TypeError, match="colour"):
        log.count(colour="red")


def test_records_with_secrets_print_none(webex_cloud: Cloud) -> None:
    signed_in(webex_cloud)
    text = repr(webex_cloud.state)
    for secret in (CLIENT_SECRET, ALICE_TOKEN, *webex_cloud.state.refresh_tokens, *webex_cloud.state.codes):
        assert secret not in text


def test_a_body_that_is_too_large_is_refused(webex_cloud: Cloud) -> None:
    webex_cloud.set(max_body=100)
    answer = fetch(webex_cloud.url + "/v1/access_token", form={"grant_type": "x" * 200})
    assert answer.status == 413


def test_https_is_served_for_the_clouds_names(tmp_path: Path) -> None:
    import ssl

    with Emulator(tls=True, tls_directory=tmp_path / "ca") as cloud:
        assert cloud.tls_url is not None
        assert cloud.env["WEBEX_EMULATOR_HTTP_URL"] == cloud.url
        assert cloud.env["WEBEX_EMULATOR_CA"] == str(cloud.ca_file)
        context = ssl.create_default_context(cafile=str(cloud.ca_file))
        port = int(cloud.tls_url.rpartition(":")[2])
        for name in (
            "webexapis.com",
            "wdm-a.wbx2.com",
            "idbroker.webex.com",
            "a.ciscospark.com",
            "localhost",
            "127.0.0.1",
        ):
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                context.wrap_socket(plain, server_hostname=name) as secure,
            ):
                secure.sendall(f"GET {EXPIRY} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                assert secure.recv(12) == b"HTTP/1.1 401"
        with pytest.raises(ssl.SSLCertVerificationError), socket.create_connection(("127.0.0.1", port)) as plain:
            context.wrap_socket(plain, server_hostname="evil.example")
        assert fetch(cloud.url + EXPIRY).status == 401  # plain http as well
        first = Path(cloud.env["WEBEX_EMULATOR_CA"]).read_bytes()
    assert stat.S_IMODE((tmp_path / "ca" / "webex-emulator-ca.key").stat().st_mode) == 0o600
    with Emulator(tls=True, tls_directory=tmp_path / "ca") as cloud:
        assert Path(cloud.env["WEBEX_EMULATOR_CA"]).read_bytes() == first


def test_many_threads_sign_in_and_refresh_at_once(webex_cloud: Cloud) -> None:
    failures: list[object] = []

    def work(who: str) -> None:
        try:
            tokens = signed_in(webex_cloud, who)
            for _ in range(5):
                assert refresh(webex_cloud, tokens["refresh_token"]).status == 200
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in ("alice", "bob", "admin", "compliance") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert webex_cloud.requests.refreshes == 40
    assert len({token.value for token in webex_cloud.state.tokens.values()}) == len(webex_cloud.state.tokens)


def test_accepted_connections_send_small_responses_at_once() -> None:
    """asyncio sets TCP_NODELAY only on sockets that name their protocol."""

    async def no_delay() -> int:
        listener = listen("127.0.0.1", 0)
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_connect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server_side = writer.get_extra_info("socket")
            accepted.set_result(server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(on_connect, sock=listener.socket):
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            option = await accepted
            writer.close()
            return option

    assert asyncio.run(no_delay()) != 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rotations": "strict"}, "Did you mean 'rotation'"),
        ({"rotation": "sometimes"}, "rotation"),
        ({"access_token_lifetime": "60"}, "access_token_lifetime"),
        ({"host": ""}, "host is empty"),
        ({"hosts": "me.example"}, "hosts is a list"),
        ({"data": "no such folder/cloud"}, "folder"),
    ],
)
def test_wrong_argument_of_an_emulator_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Emulator(**arguments)
