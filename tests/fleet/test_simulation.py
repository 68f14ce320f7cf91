"""A small fleet in virtual time: the bounds that `docs/sizing.md` states."""

from __future__ import annotations

from benchmarks.simulate_fleet import bounds, exceeded, simulate, table
from webex.fleet.shards import GIVEN_AT_ONCE


def test_everyone_is_listened_for_again_and_the_load_stays_in_its_bounds() -> None:
    people, workers, shards, per_second = 4_000, 10, 32, 10.0
    results = simulate(people=people, workers=workers, shards=shards, per_second=per_second)
    assert [each.scenario for each in results if each.whole_after is None] == []
    assert len(results) == 7
    most = bounds(people=people, workers=workers, shards=shards, lease=15.0, per_second=per_second)
    assert exceeded(results, most) == []
    for each in results:
        assert 0 < each.connects_peak <= workers * (per_second + 1), each
        # Each worker polls twice a second, looks, renews and tells now and then, and watches its people's sign-ins.
        assert each.storage_quiet < workers * 6 + shards + people / 50 / 4, each
        assert each.given_at_once <= GIVEN_AT_ONCE, each
    dead = results[1]
    assert 0 < dead.moved <= shards // workers + 2  # of the one that died, and no other
    assert [each.moved for each in results[4:]] == [0, 0, 0]
    assert [each.peak.token > 0 for each in results] == [True, *[False] * 5, True]
    assert [each.peak.kms > 0 for each in results] == [*[True] * 4, *[False] * 3]
    assert results[5].peak.wdm > 0 == results[4].peak.wdm
    assert table(results, most).count("\n") == 9


def test_shards_of_connected_people_are_given_a_few_at_a_time() -> None:
    come_back = simulate(people=2_000, workers=4, shards=64)[2]
    assert come_back.given_at_once == GIVEN_AT_ONCE  # each of three workers has five shards too many
    assert come_back.moved == 16
