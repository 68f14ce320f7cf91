"""Two hosts with two workers each meet one expired token on servers of a test's own, and things go wrong meanwhile."""

from __future__ import annotations

import pytest

from benchmarks.hosts.__main__ import runs
from benchmarks.hosts.network import Network
from benchmarks.hosts.run import Result
from tests.support.tiers import program

pytestmark = pytest.mark.services

NEEDS = {
    "sqlite": (),
    "redis": ("redis-server",),
    "postgres": (),
    "mariadb": ("mariadbd", "mariadb-install-db"),
}


def results(storage: str, only: str, rotation: str = "") -> list[Result]:
    """Run the scenarios with this text in their names."""
    for name in NEEDS[storage]:
        program(name)
    return list(runs([storage], hosts=2, workers=2, calls=5, only=only, rotation=rotation))


@pytest.mark.parametrize("storage", NEEDS)
def test_hosts_with_both_styles_refresh_once(storage: str) -> None:
    (result,) = results(storage, "one_token")
    assert not result.broken, result
    assert result.ok == 20
    assert result.refreshes == 1


@pytest.mark.parametrize("storage", NEEDS)
def test_worker_that_is_paused_past_its_lease_overwrites_nothing(storage: str) -> None:
    (result,) = results(storage, "paused", "grace")
    assert not result.broken, result
    assert result.ok == 20
    assert result.refreshes == 2


@pytest.mark.parametrize("storage", ["redis", "postgres", "mariadb"])
def test_host_saves_when_its_storage_returns(storage: str) -> None:
    (result,) = results(storage, "cut_for_a_moment")
    assert not result.broken, result
    assert result.refreshes == 1


@pytest.mark.parametrize("storage", ["redis", "postgres", "mariadb"])
def test_another_host_refreshes_for_one_without_the_cloud(storage: str) -> None:
    (result,) = results(storage, "cut_from_cloud")
    assert not result.broken, result
    assert result.refreshes == 1


def test_network_is_cleaned_up() -> None:
    with Network(2) as network:
        names = [host.command[-1] for host in network.hosts if host.command]
        address, port = network.hosts[0].way("nothing", ("127.0.0.1", 9))
        assert port
        assert address
    if network.namespaces:
        import subprocess

        there = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
        assert not [name for name in names if name in there]
