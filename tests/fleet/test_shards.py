"""Who holds what: the decisions of workers that see the same list."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from webex.fleet.shards import GIVEN_AT_ONCE, IDLE_GIVEN_AT_ONCE, Member, give_next, make_plan, shard_of, share_of


def settle(members: list[Member], shards: int, rounds: int = 400) -> tuple[list[Member], int]:
    """Carry out everyone's plans, one worker after the other, until no one plans anything; how many shards moved."""
    moved = 0
    for _ in range(rounds):
        quiet = True
        for index, member in enumerate(members):
            others = [each for each in members if each is not member]
            plan = make_plan(member, others, shards)
            taken = frozenset[int]().union(*(each.shards for each in others))
            took = [shard for shard in plan.take if shard not in taken]
            if took or plan.give:
                quiet = False
                moved += len(took)
                members[index] = replace(member, shards=(member.shards | frozenset(took)) - frozenset(plan.give))
        if quiet:
            break
    return members, moved


def loads(members: list[Member]) -> list[int]:
    return sorted(len(each.shards) for each in members if not each.leaving)


def test_the_shard_of_a_user_never_changes() -> None:
    assert [shard_of(f"user{number}", 64) for number in range(6)] == [24, 7, 40, 62, 5, 38]


def test_users_are_spread_evenly() -> None:
    counts = [0] * 64
    for number in range(64_000):
        counts[shard_of(f"user{number}", 64)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


@settings(max_examples=60, deadline=None)
@given(workers=st.integers(1, 20), shards=st.sampled_from([16, 64, 100]))
def test_workers_that_start_one_after_the_other_hold_their_share(workers: int, shards: int) -> None:
    members: list[Member] = []
    for number in range(workers):
        members.append(Member(f"w{number}"))
        members, _ = settle(members, shards)
    least, most = share_of(shards, workers)
    assert sum(loads(members)) == shards
    assert min(loads(members)) >= least
    assert max(loads(members)) <= most


@settings(max_examples=60, deadline=None)
@given(workers=st.integers(2, 12), dead=st.integers(1, 11))
def test_only_shards_of_dead_workers_move(workers: int, dead: int) -> None:
    members, _ = settle([Member(f"w{number}") for number in range(workers)], 64)
    alive = members[min(dead, workers - 1) :]
    lost = 64 - sum(loads(alive))
    after, moved = settle(list(alive), 64)
    assert moved == lost
    assert all(before.shards <= now.shards for before, now in zip(alive, after, strict=True))
    assert sum(loads(after)) == 64


def test_a_new_worker_gets_its_share_and_no_other_shard_moves() -> None:
    members, _ = settle([Member(f"w{number}") for number in range(3)], 64)
    _, moved = settle([*members, Member("new")], 64)
    assert moved == 16


def test_a_leaving_worker_gives_all_and_takes_nothing() -> None:
    members, _ = settle([Member(f"w{number}") for number in range(3)], 64)
    members[0] = replace(members[0], leaving=True)
    after, moved = settle(members, 64)
    assert not after[0].shards
    assert moved in (20, 21, 22)
    assert sum(loads(after)) == 64


def test_workers_that_look_at_once_ask_for_different_shards() -> None:
    first = make_plan(Member("a"), [Member("b")], 64).take
    second = make_plan(Member("b"), [Member("a")], 64).take
    assert len(first) == len(second) == 32
    assert len(set(first) & set(second)) < 28


def test_a_worker_that_comes_back_to_an_empty_list_takes_no_more_than_its_share() -> None:
    assert len(make_plan(Member("a"), [], 1024).take) == 1024
    assert len(make_plan(Member("a"), [], 1024, expected=500).take) == 3


def test_shards_are_given_a_few_at_a_time_and_those_without_connections_at_once() -> None:
    plan = make_plan(Member("w0", frozenset(range(200))), [Member("w1"), Member("w2")], 200)
    assert len(plan.give) == 133
    assert give_next(plan, 0, lambda shard: False) == plan.give[:GIVEN_AT_ONCE]
    assert give_next(plan, 3, lambda shard: False) == plan.give[:1]
    assert give_next(plan, GIVEN_AT_ONCE, lambda shard: False) == ()
    assert give_next(plan, 0, lambda shard: True) == plan.give[:IDLE_GIVEN_AT_ONCE]
    idle = set(plan.give[10:30])
    assert give_next(plan, 0, idle.__contains__) == (*plan.give[10:30], *plan.give[:GIVEN_AT_ONCE])
