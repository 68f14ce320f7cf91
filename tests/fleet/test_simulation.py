"""A small fleet in virtual time: the bounds that `docs/sizing.md` states."""

from __future__ import annotations

from benchmarks.simulate_fleet import simulate, table
from webex.fleet.shards import GIVEN_AT_ONCE


def test_everyone_is_listened_for_again_and_the_load_stays_in_its_bounds() -> None:
    people, workers, shards, per_second = 4_000, 10, 32, 10.0
    results = simulate(people=people, workers=workers, shards=shards, per_second=per_second)
    assert [each.scenario for each in results if each.whole_after is None] == []
    assert len(results) == 5
    for each in results:
        assert 0 < each.connects_peak <= workers * (per_second + 1), each
        # Each worker polls twice a second and looks, renews and tells now and then; a start lists the users.
        assert each.storage_peak <= workers * 20 + shards * 4, each
        assert each.storage_quiet < workers * 6 + shards, each
        assert each.given_at_once <= GIVEN_AT_ONCE, each
    dead = results[1]
    assert 0 < dead.moved <= shards // workers + 2  # of the one that died, and no other
    assert results[4].moved == 0
    assert table(results).count("\n") == 6


def test_shards_of_connected_people_are_given_a_few_at_a_time() -> None:
    come_back = simulate(people=2_000, workers=4, shards=64)[2]
    assert come_back.given_at_once == GIVEN_AT_ONCE  # each of three workers has five shards too many
    assert come_back.moved == 16
