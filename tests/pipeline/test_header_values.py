"""Header values are remote text: they are read in linear time, and what can't be used is refused with a typed error."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webex.config import load_config
from webex.errors import DecodeError
from webex.http import parse_link_header, parse_retry_after
from webex.http.header_values import disposition_file_name, safe_file_name
from webex.http.timing import server_time
from webex.realtime.conversations.comments import plain_text
from webex.services import Services

LONG = 90_000
READERS: dict[str, Callable[[str], object]] = {
    "link": parse_link_header,
    "disposition": lambda value: _or_refused(disposition_file_name, value),
    "retry-after": lambda value: parse_retry_after(value, 0.0),
    "date": server_time,
    "html": plain_text,
}


def _or_refused(read: Callable[[str], str], value: str) -> str | None:
    try:
        return read(value)
    except DecodeError:
        return None


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "unit",
    [
        "<",
        ">",
        '"',
        ",",
        ";",
        "\\",
        "=",
        "'",
        " ",
        "%",
        "a",
        "9",
        "<>",
        "<a>;",
        '<a>;x="',
        "<a;",
        ';x="',
        '\\"',
        "; x",
        "+1 ",
    ],
)
@pytest.mark.parametrize("head", ["", "<a>", '<a>; rel="', "x; filename=", "x; filename*=utf-8''", "Thu, 01 Jan 1970 "])
def test_long_values_are_read_in_linear_time(read: Callable[[str], object], unit: str, head: str) -> None:
    """A quadratic reader needs hours for these: the suite's time limit ends it."""
    read(head + unit * (LONG // len(unit)))
    read(head + unit * (LONG // len(unit)) + "\\")


@given(
    st.lists(st.sampled_from(["<a>", "<", ";", "rel=next", '"', "\\", ",", " ", 'rel="next"', "=", "é"]), max_size=30)
)
def test_any_link_value_gives_urls_contained_in_it(pieces: list[str]) -> None:
    value = "".join(pieces)
    for url in parse_link_header(value).values():
        assert f"<{url}>" in value.replace(" ", "")


@given(st.text(max_size=60))
def test_quoted_file_name_is_read_as_written(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    value = f'attachment; size=3; filename="{quoted}"; x=y'
    if "\0" in name:
        with pytest.raises(DecodeError):
            disposition_file_name(value)
    else:
        assert disposition_file_name(value) == safe_file_name(name)


@given(st.text(max_size=400))
def test_safe_file_name_stays_in_its_folder(name: str) -> None:
    safe = safe_file_name(name.replace("\0", ""))
    assert not set(safe) & set("/\\\0\n\r")
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 200
    assert safe_file_name(safe) == safe or len(name) > 150


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('attachment; filename="résumé.pdf"', "résumé.pdf"),
        ("attachment; filename=résumé.pdf", "résumé.pdf"),
        ("attachment; filename*=UTF-8'en'r%C3%A9sum%C3%A9.pdf", "résumé.pdf"),
        ("attachment; filename*=iso-8859-1''r%E9sum%E9.pdf", "résumé.pdf"),
        ("attachment; FileName*=utf-8''a%2fb.txt; filename=c.txt", "b.txt"),
        ("attachment; filename=\"plain.txt\"; filename*=UTF-8''%FF.txt", "plain.txt"),
        ('attachment; filename="plain.txt"; filename*=malformed', "plain.txt"),
        ('attachment; filename="50%.txt"', "50%.txt"),
        ('attachment; filename="%2e%2e%2fx"', "%2e%2e%2fx"),
        ('attachment; filename="a\\"b; filename=c.txt"', 'a"b; filename=c.txt'),
        ("attachment; filename=two words.txt; size=1", "two words.txt"),
        ('filename="alone.txt"', "alone.txt"),
        ('attachment; filename="open.txt', "open.txt"),
        ('attachment; filename="exe.\u202egpj"', "exe.gpj"),
        ('attachment; filename=".."', ""),
        ('attachment; filename=" .. "', ""),
        ('attachment; filename="/etc/"', ""),
        ("attachment", ""),
        ("", ""),
    ],
)
def test_file_names(value: str, name: str) -> None:
    assert disposition_file_name(value) == name


@pytest.mark.parametrize("charset", ["klingon", "idna", "undefined", "rot13", "unicode_escape", "utf-8\0", "x" * 9000])
def test_unknown_character_set_is_refused(charset: str) -> None:
    with pytest.raises(DecodeError, match="character set") as caught:
        disposition_file_name(f"attachment; filename*={charset}''a.txt")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", ["x; filename*=utf-8''a%00.txt", 'x; filename="a\0.txt"'])
def test_nul_in_a_file_name_is_refused(value: str) -> None:
    with pytest.raises(DecodeError, match="NUL"):
        disposition_file_name(value)


def test_long_file_name_keeps_its_suffix() -> None:
    name = safe_file_name("ü" * 300 + ".pdf")
    assert name.endswith("ü.pdf")
    assert len(name.encode()) <= 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("9" * 400, 3600.0),
        ("-" + "9" * 400, 0.0),
        ("1e400", None),
        ("inf", None),
        ("-Infinity", None),
        ("NaN", None),
        ("1_000", None),
        ("٣", None),
        ("9" * 5000, 3600.0),
        ("Thu, 01 Jan " + "9" * 400 + " 00:00:00 GMT", None),
        ("Thu, 01 Jan 9999 00:00:00 GMT", 3600.0),
        ("Thu, 01 Jan 0001 00:00:00 +9999", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_unusual_retry_after_values(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value, 100.0) == seconds


@pytest.mark.parametrize("value", ["9" * 400, "inf", "nan", "-1", "Thu, 01 Jan 1970 00:00:00 " + "+" + "9" * 400, "\0"])
def test_invalid_dates_are_none(value: str) -> None:
    assert server_time(value) is None


def test_ambiguous_characters_are_refused_in_trusted_urls() -> None:
    services = Services(load_config({}, environ={})[0])
    assert services.may_receive_token("https://webexapis.com/v1/rooms")
    refused = {
        "\\",
        *(chr(code) for code in range(0x21)),
        *(chr(code) for code in range(0x7F, 0x400)),
        chr(sys.maxunicode),
    }
    for character in refused:
        assert not services.may_receive_token(f"https://webexapis.com/v1/{character}rooms")
    for code in set(range(0x21, 0x7F)) - {ord("\\")}:
        assert services.may_receive_token(f"https://webexapis.com/v1/{chr(code)}rooms")


@pytest.mark.parametrize(
    ("value", "links"),
    [
        (None, {}),
        ("", {}),
        ("<https://a>", {}),
        ('<https://a>; rel="next"', {"next": "https://a"}),
        ("<https://a>;rel=next,<https://b>;rel=first", {"next": "https://a", "first": "https://b"}),
        ('<https://a>; title="x, <y>; rel=z"; REL="Next Last"', {"next": "https://a", "last": "https://a"}),
        ("<https://a>; rel=next, <https://b>; rel=next", {"next": "https://a"}),
        ("<https://a>; rel=prev", {"prev": "https://a", "previous": "https://a"}),
        ("<https://a>; rel=prev, <https://b>; rel=previous", {"prev": "https://a", "previous": "https://b"}),
        ("< https://a >; rel=next; rel=last", {"next": "https://a"}),
        ("<>; rel=next, <https://a>; rel=next", {"next": "https://a"}),
        ("https://a; rel=next, <https://b; rel=next", {}),
    ],
)
def test_links_by_relation(value: str | None, links: dict[str, str]) -> None:
    assert parse_link_header(value) == links
