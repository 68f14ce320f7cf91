"""`webex doctor`: each kind of broken configuration is found, with what to do; no secret is printed."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.postgres_server import PostgresServer
from tests.support.recording_proxy import RecordingProxy
from tests.support.services import RedisServer
from webex import Integration
from webex.cli.doctor_cloud import _missing
from webex.cli.group import webex
from webex.emulator import Cloud, Emulator, accounts
from webex.storage import SQLiteStorage
from webex.testing.guard import stay_on_loopback

STORAGES = "tests.command_line.storages"
CLOUD = ("webexapis.com", "idbroker.webex.com", "identity.webex.com", "u2c.wbx2.com")
SECRETS = (accounts.ALICE_TOKEN, accounts.BOT_TOKEN, accounts.CLIENT_SECRET)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("WEBEX_", "CISCOSPARK_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture
def cloud(environment: None, webex_env: Cloud) -> Cloud:
    """A cloud that the environment names, with a token and an app."""
    return webex_env


def run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the status and the findings; the text of the same run is checked for secrets and for remedies."""
    text = CliRunner().invoke(webex, ["doctor", *arguments])
    shown = CliRunner().invoke(webex, ["doctor", "--json", *arguments])
    assert not any(secret in result.output for secret in SECRETS for result in (text, shown))
    assert shown.exception is None or isinstance(shown.exception, SystemExit), shown.output
    report = json.loads(shown.stdout)
    problems = [each for each in report["findings"] if each["level"] == "problem"]
    assert report["problems"] == len(problems)
    assert text.exit_code == shown.exit_code == bool(problems)
    assert all(each["remedy"] and each["what"] in text.output and each["remedy"] in text.output for each in problems)
    return shown.exit_code, report["findings"]


def problems(*arguments: str) -> list[tuple[str, str, str]]:
    return [(f["check"], f["what"], f["remedy"]) for f in run(*arguments)[1] if f["level"] == "problem"]


def said(findings: list[dict[str, Any]], check: str) -> str:
    return "\n".join(each["what"] for each in findings if each["check"] == check)


@pytest.fixture
def database(tmp_path: Path) -> str:
    place = tmp_path / "webex.db"
    with SQLiteStorage(place):
        pass
    return str(place)


def test_all_is_well(cloud: Cloud, tmp_path: Path) -> None:
    place = str(tmp_path / "webex.db")
    storage = SQLiteStorage(place)
    storage.bind("app/notes").put("note", 1)
    storage.close()
    code, findings = run("--storage", place, "--uses", "people,rooms,webhooks,realtime")
    assert code == 0
    assert "(WEBEX_CLIENT_ID)" in said(findings, "configuration")
    assert "client_secret = (set)" in said(findings, "configuration")
    assert "compare_and_swap" in said(findings, "storage")
    assert "conversation" in str(next(each["data"] for each in findings if each["check"] == "catalog"))
    assert "answers directly" in said(findings, "services")
    assert "The key service agreed on a key" in said(findings, "realtime")
    assert not cloud.state.devices, "the device was left behind"


def test_without_settings_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    code, findings = run("--offline")
    assert code == 0
    assert "defaults" in said(findings, "configuration")
    assert "not asked" in said(findings, "services")


def test_misspelled_variable_is_told_the_nearest(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_CLIENT_IDD", "x")
    monkeypatch.setenv("WEBEX_TOKEN", "secret-of-nobody")
    monkeypatch.setenv("WEBEX_TEAM_NAMES_OF_OURS", "x")
    found = {what: remedy for _, what, remedy in problems("--offline")}
    assert found["WEBEX_CLIENT_IDD is read by nothing"] == "Did you mean WEBEX_CLIENT_ID?"
    assert found["WEBEX_TOKEN is read by nothing"] == "Did you mean WEBEX_ACCESS_TOKEN?"
    assert len(found) == 2
    assert "secret-of-nobody" not in CliRunner().invoke(webex, ["doctor", "--offline"]).output


def test_contradicting_settings_end_the_examination(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_TIMEOUT", "soon")
    (problem,) = problems()
    assert problem[0] == "configuration"
    assert "WEBEX_TIMEOUT" in problem[1]


def test_secret_of_another_level_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_CLIENT_ID", "one")
    monkeypatch.setenv("CISCOSPARK_CLIENT_SECRET", "of-two")
    monkeypatch.setenv("WEBEX_REDIRECT_URI", "http://app.example.com/callback")
    found = problems("--offline")
    assert ["client_secret is not used" in what for _, what, _ in found] == [True, False]
    assert "plain http to app.example.com" in found[1][1]


def test_wrong_secret(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_CLIENT_SECRET", "ab" * 32)
    ((check, what, remedy),) = problems()
    assert check == "app"
    assert "refuses the client id and secret (WEBEX_CLIENT_ID, WEBEX_CLIENT_SECRET)" in what
    assert "developer.webex.com" in remedy


def test_refused_token(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_ACCESS_TOKEN", "cd" * 32)
    ((check, what, _),) = problems("--uses", "webhooks")
    assert (check, "refuses the token" in what) == ("token", True)


def test_missing_scope_of_a_token(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    token = cloud.token_for("alice", ["spark:people_read", "spark:rooms_read"])
    monkeypatch.setenv("WEBEX_ACCESS_TOKEN", token)
    found = problems("--uses", "people,rooms,webhooks")
    assert [(check, what.partition(":")[0]) for check, what, _ in found] == [("scopes", "webhooks")]
    assert "spark:webhooks_read" in found[0][1]


def test_missing_scope_for_real_time(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_ACCESS_TOKEN", cloud.token_for("alice", ["spark:all"]))
    monkeypatch.setenv("WEBEX_SCOPE", "spark:all")
    found = problems("--uses", "realtime")
    assert [check for check, _, _ in found] == ["scopes", "realtime"]
    assert "realtime needs spark:kms, which scope (WEBEX_SCOPE) does not have" in found[0][1]
    assert "spark:kms" in found[1][2]


def test_missing_scope_of_a_stored_user(cloud: Cloud, tmp_path: Path) -> None:
    place = str(tmp_path / "webex.db")
    with SQLiteStorage(place) as storage, Integration.from_env(storage=storage) as integration:
        token = {"access_token": cloud.token_for("alice"), "scope": "spark:people_read", "expires_in": 3600}
        integration.adopt(accounts.ALICE_ID, token)
    found = problems("--storage", place, "--user", accounts.ALICE_ID, "--uses", "webhooks")
    assert [check for check, _, _ in found] == ["scopes", "scopes"]
    assert "webhooks needs spark:webhooks_read spark:webhooks_write" in found[0 if "webhooks" in found[0][1] else 1][1]
    assert all("begin_scope_login" in remedy for _, _, remedy in found)
    stranger = problems("--storage", place, "--user", "11111111-0000-4000-8000-000000000001")
    assert [check for check, _, _ in stranger] == ["token"]


def test_everything_scope_has_the_others() -> None:
    assert _missing(["spark:all"], ["spark:rooms_read", "spark:kms", "spark-admin:people_read"]) == [
        "spark:kms",
        "spark-admin:people_read",
    ]


def test_clock_an_hour_off(cloud: Cloud) -> None:
    cloud.clock.advance(3600)
    ((check, what, remedy),) = problems()
    assert check == "clock"
    behind = re.search(r"(\d+) s behind", what)
    assert behind is not None
    assert 3500 < int(behind[1]) < 3700
    assert "NTP" in remedy


def test_inactive_webhook_and_stray(cloud: Cloud) -> None:
    with cloud_client(cloud) as client:
        url = "https://app.example.com/hooks"
        client.webhooks.ensure(url, ["messages:created", "rooms:created"], secret="a secret of a webhook")
        client.webhooks.create(name="old", target_url="https://old.example.com/", resource="messages", event="created")
        first = next(each for each in client.webhooks.list() if each.resource == "rooms")
        with cloud.lock:
            next(each for each in cloud.state.webhooks.values() if each.resource == "rooms").status = "inactive"
    assert first.id
    found = problems("--webhook-url", url)
    assert sorted(what.split(" ")[0] for check, what, _ in found if check == "webhooks") == [
        "messages:created",
        "rooms:created",
    ]
    inactive = next(each for each in found if "is inactive" in each[1])
    assert inactive[1].startswith("rooms:created")
    assert "hooks.reconcile()" in inactive[2]
    stray = next(each for each in found if "points elsewhere" in each[1])
    assert "https://old.example.com/" in stray[1]
    assert "They point to 2 hosts" in said(run()[1], "webhooks")


def cloud_client(cloud: Cloud) -> Any:
    from webex import Webex

    return Webex(accounts.ALICE_TOKEN, emulator_url=cloud.url)


def test_storage_that_is_away() -> None:
    ((check, what, remedy),) = problems("--offline", "--storage", f"{STORAGES}:away")
    assert (check, "can't be reached" in what) == ("storage", True)
    assert "WEBEX_STORAGE_KEYS" in remedy
    assert problems("--offline", "--storage", "nowhere.db")[0][0] == "storage"


def test_server_that_nothing_listens_for(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"redis://someone:a-password-of-redis@127.0.0.1:{closed.getsockname()[1]}/0"
        result = CliRunner().invoke(webex, ["doctor", "--offline", "--storage", address])
    assert result.exit_code == 1
    assert "can't be reached" in result.output
    assert "a-password-of-redis" not in result.output


def test_storage_whose_clock_is_an_hour_ahead() -> None:
    ((_, what, remedy),) = problems("--offline", "--storage", f"{STORAGES}:an_hour_ahead")
    assert "3600 s ahead of this machine's" in what
    assert "NTP" in remedy
    _, findings = run("--offline", "--storage", f"{STORAGES}:an_hour_ahead")
    assert "does not permit to read its settings" in said(findings, "storage")


def test_storage_without_leases() -> None:
    assert "safe for one process only" in problems("--offline", "--storage", f"{STORAGES}:plain")[0][1]


def test_dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:a-password-of-a-proxy@127.0.0.1:{port}")
        with stay_on_loopback(*CLOUD):
            found = problems()
            text = CliRunner().invoke(webex, ["doctor"]).output
    assert {check for check, _, _ in found} == {"services"}
    assert len(found) == 4
    assert all(f"by the proxy http://127.0.0.1:{port} (HTTPS_PROXY)" in what for _, what, _ in found)
    assert all("NO_PROXY" in remedy for _, _, remedy in found)
    assert "a-password-of-a-proxy" not in text


def test_services_are_reached_by_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator(tls=True, hosts=CLOUD) as cloud:
        assert cloud.tls_url is not None
        monkeypatch.setenv("WEBEX_CA_BUNDLE", str(cloud.ca_file))
        ports = (int(url.rpartition(":")[2]) for url in (cloud.url, cloud.tls_url))
        with RecordingProxy(*ports) as proxy, stay_on_loopback(*CLOUD):
            monkeypatch.setenv("WEBEX_PROXY", proxy.url())
            _, findings = run("--timeout", "5")
            assert "webexapis.com:443" in proxy.tunnels
    assert f"https://webexapis.com (hydra) answers by the proxy {proxy.url()} (WEBEX_PROXY)" in said(
        findings, "services"
    )


@pytest.mark.services
def test_redis_that_loses_writes_or_permits_no_question() -> None:
    with RedisServer("maxmemory-policy allkeys-lru") as server:
        found = problems("--offline", "--storage", server.url)
        assert {"appendonly is no", "maxmemory-policy is allkeys-lru, not noeviction"} == {
            what.partition(":")[0] for _, what, _ in found
        }
        assert all("CONFIG SET" in remedy for _, _, remedy in found)
    with RedisServer('rename-command CONFIG ""') as managed:
        code, findings = run("--offline", "--storage", managed.url)
        assert code == 0
        assert "does not permit to read its settings" in said(findings, "storage")
    with RedisServer("appendonly yes") as safe:
        code, findings = run("--offline", "--storage", safe.url)
        assert code == 0
        assert "appendonly = yes" in said(findings, "storage")


@pytest.mark.services
def test_postgres_that_commits_late() -> None:
    with PostgresServer("synchronous_commit = off") as server:
        assert "webex storage migrate" in problems("--offline", "--storage", server.url)[0][2]
        assert CliRunner().invoke(webex, ["storage", "migrate", "--storage", server.url]).exit_code == 0
        ((_, what, remedy),) = problems("--offline", "--storage", server.url)
    assert "synchronous_commit is off" in what
    assert "ALTER ROLE" in remedy


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert not Path("nowhere.db").exists()
