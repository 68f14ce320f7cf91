"""A long text becomes messages that each fit, and that together say the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webex.api import split_markdown
from webex.errors import ConfigurationError

MOST = 7439
prose = st.text(alphabet=st.sampled_from("ab \né😀\u200d👩."), max_size=900)


def test_text_of_exactly_the_limit_is_one_message() -> None:
    assert split_markdown("x" * MOST) == ["x" * MOST]
    assert split_markdown("") == [""]


def test_one_byte_more_is_two() -> None:
    assert [len(part) for part in split_markdown("x" * (MOST + 1))] == [MOST, 1]


def test_bytes_are_counted_and_not_characters() -> None:
    parts = split_markdown("é" * MOST)
    assert "".join(parts) == "é" * MOST
    assert all(len(part.encode()) <= MOST for part in parts)


@given(prose, st.integers(64, 200))
def test_parts_of_prose_join_to_the_original_text(text: str, most: int) -> None:
    parts = split_markdown(text, most)
    assert "".join(parts) == text
    assert all(len(part.encode()) <= most for part in parts)


@given(st.text(alphabet=st.sampled_from("ab \n`~é😀"), max_size=900), st.integers(64, 200))
def test_no_part_exceeds_the_limit_with_any_fences(text: str, most: int) -> None:
    assert all(len(part.encode()) <= most for part in split_markdown(text, most))


@pytest.mark.parametrize("fence", ["`" * 900, "~" * 900, "```" + "x" * 900, "```json " + '{"a": 1}, ' * 90])
@pytest.mark.parametrize("code", ["", "\n" + "code\n" * 100 + "```\nend"])
def test_a_fence_longer_than_a_part_ends(fence: str, code: str) -> None:
    parts = split_markdown(f"a\n\n{fence}{code}", 200)
    assert all(0 < len(part.encode()) <= 200 for part in parts)
    kept = re.sub(r"[\s`~]", "", "".join(parts))
    assert kept == re.sub(r"[\s`~]", "", f"a{fence}{code}")


@given(prose, st.lists(st.text(alphabet="abc é", min_size=1, max_size=30), min_size=1, max_size=30), prose)
def test_each_part_closes_its_fences_and_keeps_all_code(before: str, code: list[str], after: str) -> None:
    text = f"{before}\n```python\n" + "\n".join(code) + f"\n```\n{after}"
    parts = split_markdown(text, 200)
    kept: list[str] = []
    for part in parts:
        fences = re.findall(r"^```.*$", part, re.MULTILINE)
        assert len(fences) % 2 == 0
        kept += [
            line for block in re.findall(r"^```python\n(.*?)\n?^```$", part, re.M | re.S) for line in block.split("\n")
        ]
    assert "".join(kept) == "".join(code)


def test_a_code_block_that_fits_is_not_divided() -> None:
    block = "```\n" + "code\n" * 20 + "```\n"
    text = "word " * 20 + "\n\n" + block + "end"
    assert any(block in part for part in split_markdown(text, 150))


def test_a_joined_emoji_is_not_split() -> None:
    family = "👩\u200d👩\u200d👧"
    parts = split_markdown("x" * 50 + family + "y" * 60, 64)
    assert any(family in part for part in parts)


def test_too_small_a_part_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        split_markdown("text", 10)
