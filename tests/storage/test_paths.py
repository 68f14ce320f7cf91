"""Keys made of parts never meet, and prefixes select exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webex.storage import path, split_path
from webex.storage.paths import after_prefix

parts = st.lists(st.text(alphabet=st.sampled_from("a/%2F5é"), max_size=5) | st.text(max_size=8), min_size=1, max_size=4)


@given(parts)
def test_path_parts_round_trip(given_parts: list[str]) -> None:
    assert split_path(path(*given_parts)) == tuple(given_parts)


@given(parts, parts)
def test_different_parts_make_different_keys(one: list[str], other: list[str]) -> None:
    assert (path(*one) == path(*other)) == (one == other)


@given(parts, parts)
def test_a_path_with_an_empty_end_is_a_prefix_of_its_children_only(above: list[str], key: list[str]) -> None:
    below = len(key) > len(above) and key[: len(above)] == above
    assert path(*key).startswith(path(*above, "")) == below


def test_the_documented_example() -> None:
    assert path("a/b") != path("a", "b")
    assert path("app", "user") == "app/user"


@pytest.mark.parametrize("bad", [None, 1, b"a"])
def test_a_part_that_is_not_text_is_refused(bad: object) -> None:
    with pytest.raises(TypeError):
        path("a", bad)  # type: ignore[arg-type]  # that is the point


def test_no_parts_make_no_key() -> None:
    with pytest.raises(TypeError):
        path()


@given(st.text(max_size=4), st.text(max_size=6))
def test_the_upper_bound_of_a_prefix_is_exact(prefix: str, key: str) -> None:
    end = after_prefix(prefix)
    within = key >= prefix and (end is None or key < end)
    assert within == key.startswith(prefix)
