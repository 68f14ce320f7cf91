"""What people type in another shape than is meant: an error that names the place, before anything is sent."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Said, Script
from webex import Webex
from webex.api.cards import CONTENT_TYPE
from webex.errors import ConfigurationError, FileError
from webex.http.sources import IteratorSource
from webex.models.generated.messaging import Message, Person, Room
from webex.runtime import drive_iter

CARD = {"type": "AdaptiveCard", "version": "1.3", "body": []}
ENVELOPE = {"contentType": CONTENT_TYPE, "content": CARD}


@pytest.fixture
def answering(script: Script, client: Webex) -> Script:
    script.answer = lambda asked: Said(200, {"id": "m", "items": []})
    return script


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "card as text": ({"card": json.dumps(CARD)}, r"^card must be a mapping, not text: card=json\.loads"),
    "card as bytes": ({"card": json.dumps(CARD).encode()}, "^card must be a mapping, not text"),
    "card as list": ({"card": [CARD]}, r"^card must be one card, not a list: attachments="),
    "card as number": ({"card": 7}, "^card must be a mapping .*not int"),
    "card of another kind": ({"card": {"type": "Message"}}, "^card: a card's type is 'AdaptiveCard', not 'Message'"),
    "card without type": ({"card": {"version": "1.2"}}, "^card: a card's type"),
    "card in a bare envelope": ({"card": {"content": [CARD]}}, "^card needs content"),
    "hero card": ({"card": {**ENVELOPE, "contentType": "application/x-hero"}}, "^card has the content type"),
    "attachments as mapping": ({"attachments": ENVELOPE}, "^attachments must be a list, not one attachment"),
    "attachments as card": ({"attachments": CARD}, "^attachments must be a list, not one attachment"),
    "attachments as text": ({"attachments": "card"}, "^attachments must be a list of attachments, not str"),
    "attachments as number": ({"attachments": 3}, "^attachments must be a list of attachments, not int"),
    "attachment as text": ({"attachments": [ENVELOPE, "card"]}, r"^attachments\[1\] must be a mapping, not text"),
    "attachment of None": ({"attachments": [None]}, r"^attachments\[0\] must be a mapping"),
    "attachment without content": (
        {"attachments": [{"contentType": CONTENT_TYPE}]},
        r"^attachments\[0\] needs content",
    ),
    "attachment's card": (
        {"attachments": [{**ENVELOPE, "content": {**CARD, "version": "2"}}]},
        r"^attachments\[0\]\['content'\]: .*version '2'",
    ),
    "file with a content type": ({"files": ("a.txt", b"x", "text/plain")}, r"^files has 3 parts \(str, bytes, str\)"),
    "such a file in a list": ({"files": [("a.txt", b"x", "text/plain")]}, r"^files\[0\] has 3 parts"),
    "three files": ({"files": (b"a", b"b", b"c")}, "^files has 3 parts.*one file a message"),
    "mapping of files": ({"files": {"a.txt": b"x"}}, "^files is a mapping.*files=\\('report.txt', data\\)"),
    "list of mappings": ({"files": [{"name": "a.txt"}]}, r"^files\[0\] is a mapping"),
    "two names": ({"files": ("one.txt", "two.txt")}, r"^files has 2 parts \(str, str\)\. Are these two files\?"),
    "two names in a list": ({"files": [("one.txt", "two.txt")]}, r"^files\[0\] has 2 parts"),
    "two paths": ({"files": (Path("one.txt"), Path("two.txt"))}, "^files has 2 parts.*begins with the file's name"),
    "pair the wrong way round": ({"files": (b"x", "a.txt")}, "begins with the file's name"),
    "pair without a name": ({"files": ("", b"x")}, "begins with the file's name"),
    "pair within a pair": ({"files": ("a.txt", ("b.txt", b"x"))}, "^files has 2 parts"),
    "pair with a list": ({"files": ("a.txt", [b"x"])}, r"^files\[1\] is a list"),
    "empty tuple": ({"files": ()}, "^files has 0 parts"),
    "list in a list": ({"files": [[b"x"]]}, r"^files\[0\] is a list of files"),
    "set": ({"files": {b"x"}}, "^files is a set of files"),
    "room as a model": ({"room_id": Room(id="r")}, r"^room_id takes an id, not a Room: give the room's \.id"),
    "room as a list": ({"room_id": ["r"]}, "^room_id must be text, not list"),
    "parent as a model": ({"parent_id": Message(id="m")}, r"^parent_id takes an id, not a Message"),
    "two targets": ({"to_person_email": "a@example.com"}, "room_id and to_person_email was given"),
    "text as bytes": ({"text": b"hello"}, "^text must be text, not bytes"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_type_is_refused_with_its_path(answering: Script, client: Webex, what: str) -> None:
    given, message = WRONG[what]
    with pytest.raises(ConfigurationError, match=message):
        client.messages.create(**{"room_id": "r", **given})
    assert answering.asked == []


@pytest.mark.parametrize("version", ["1", "1.0", "1.2", "1.3", "1.3.0", "1.3.0.0", "01.3", " 1.3", 1.2, 1])
def test_supported_card_version_is_sent(answering: Script, client: Webex, version: Any) -> None:
    client.messages.create(room_id="r", card={**CARD, "version": version})
    assert json.loads(answering.asked[0].body)["attachments"][0]["content"]["version"] == version


@pytest.mark.parametrize(
    "version", ["1.4", "1.10", "1.3.1", "2", "2.0", "", "v1.3", "1.", "1.-1", "1.३", None, True, []]
)
def test_other_version_is_refused(answering: Script, client: Webex, version: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^card: Webex takes cards up to version 1\.3"):
        client.messages.create(room_id="r", card={**CARD, "version": version})
    assert answering.asked == []


class _CardOfALibrary:
    def to_dict(self) -> dict[str, Any]:
        return CARD


@pytest.mark.parametrize(
    "given",
    [
        {"card": CARD},
        {"card": ENVELOPE},
        {"card": _CardOfALibrary()},
        {"attachments": [ENVELOPE]},
        {"attachments": (CARD,)},
        {"attachments": Message.from_dict({"attachments": [ENVELOPE]}).attachments},
    ],
    ids=["card", "envelope", "object", "attachments", "tuple", "of another message"],
)
def test_every_form_of_a_card_is_sent_alike(answering: Script, client: Webex, given: dict[str, Any]) -> None:
    client.messages.create(room_id="r", **given)
    assert json.loads(answering.asked[0].body)["attachments"] == [ENVELOPE]


@pytest.mark.parametrize("shape", ["pair", "pair of a path", "list", "tuple", "path", "text path", "object", "pieces"])
def test_every_form_of_a_file_is_sent(answering: Script, client: Webex, tmp_path: Path, shape: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"the bytes")
    shapes: dict[str, Callable[[], Any]] = {
        "pair": lambda: ("a.txt", b"the bytes"),
        "pair of a path": lambda: ("a.txt", path),
        "list": lambda: [path],
        "tuple": lambda: (path,),
        "path": lambda: path,
        "text path": lambda: str(path),
        "object": lambda: ("a.txt", io.BytesIO(b"the bytes")),
        "pieces": lambda: ("a.txt", iter([b"the ", b"bytes"])),
    }
    client.messages.create(room_id="r", files=shapes[shape]())
    body = answering.asked[0].body
    if shape != "pieces":  # which goes chunked, and this server does not read that
        assert b'filename="a.txt"' in body
        assert b"the bytes" in body


def test_text_instead_of_bytes_is_refused(answering: Script, client: Webex) -> None:
    with pytest.raises(FileError, match="gives text"):
        client.messages.create(room_id="r", files=io.StringIO("text"))
    assert answering.asked == []


@pytest.mark.parametrize("piece", ["text", 1, None])
def test_non_bytes_chunk_is_refused(piece: Any) -> None:
    with pytest.raises(FileError, match="The iterable gives"):
        list(drive_iter(IteratorSource([b"fine", piece]).open()))


@pytest.mark.parametrize(
    "files",
    [5, "", [None], ("a.txt", None), [object()]],
    ids=["number", "empty", "list of None", "name with None", "object"],
)
def test_invalid_file_argument_is_refused_with_its_path(answering: Script, client: Webex, files: Any) -> None:
    with pytest.raises(FileError, match=r"^files(\[[01]\])? must be a path.*not (int|an empty text|NoneType|object)"):
        client.messages.create(room_id="r", files=files)
    assert answering.asked == []


QUERIES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "model in a path": (lambda c: c.rooms.get(Room(id="r")), r"^room_id takes an id, not a Room"),
    "None in a path": (lambda c: c.rooms.get(None), "^room_id must be text that is not empty"),
    "empty path": (lambda c: c.memberships.get(""), "^membership_id must be text"),
    "dots": (lambda c: c.team_memberships.get(".."), "^membership_id can't be '..'"),
    "model in a query": (lambda c: c.messages.list(room_id=Room(id="r")), "^room_id takes an id, not a Room"),
    "bytes in a query": (lambda c: c.people.list(email=b"a"), "^email can't be a bytes"),
    "set in a query": (lambda c: c.people.list(id={"a"}), "^id can't be a set"),
    "mapping in a query": (lambda c: c.memberships.list(room_id={"id": "r"}), "^room_id can't be a dict"),
    "model in a body": (
        lambda c: c.memberships.create(room_id="r", person_id=Person(id="p")),
        "^person_id takes an id",
    ),
}


@pytest.mark.parametrize("what", QUERIES)
def test_wrong_argument_is_named_as_python_has_it(answering: Script, client: Webex, what: str) -> None:
    call, message = QUERIES[what]
    with pytest.raises(ConfigurationError, match=message):
        call(client)
    assert answering.asked == []
