"""Events against the recorded output of the JS plugins, and where ours are better on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webex.ids import parse_id
from webex.realtime.events import Reader
from webex.services.catalog import public_cluster

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "listen-events.json").read_text())
ROWS = {row["name"]: row for row in VECTORS["rows"]}
ELSEWHERE = "add_member when the conversation host is not in the catalog"
ON_PURPOSE = {"edit", "update_content", "tombstone", "reaction", ELSEWHERE}


def read(name: str) -> list[Any]:
    """Our events of a recorded activity."""
    cluster = "urn:TEAM:eu-central-1_k" if "eu-central" in name else "us"
    return Reader("https://api.ciscospark.com/v1", lambda url: cluster).read(ROWS[name]["activity"])


@pytest.mark.parametrize("name", sorted(ROWS.keys() - ON_PURPOSE))
def test_events_are_those_of_the_js_plugins(name: str) -> None:
    ours = read(name)
    theirs = [
        (resource, entry["event"])
        for resource, found in ROWS[name]["events"].items()
        for entry in (found.get("events") or [] if isinstance(found, dict) else found)
        if "event" in entry
    ]
    assert len(ours) == len(theirs)
    for resource, event in theirs:
        candidates = [each for each in ours if (each.resource, each.event) == (resource, event["event"])]
        if isinstance(event["data"], dict):
            fields = event["data"].keys()
            assert any({k: v for k, v in each.data.items() if k in fields} == event["data"] for each in candidates)
        else:
            assert len(candidates) == 1  # the body of GET /messages/{id}


def test_an_edit_is_an_update_of_its_message() -> None:
    (event,) = read("edit")
    assert (event.resource, event.event) == ("messages", "updated")
    assert parse_id(event.data["id"]).id == ROWS["edit"]["activity"]["parent"]["id"]


def test_reactions_have_their_own_event() -> None:
    (event,) = read("reaction")
    activity = ROWS["reaction"]["activity"]
    assert (event.resource, event.event, event.actor) == ("reactions", "created", activity["actor"]["entryUUID"])
    assert (event.data["name"], parse_id(event.data["id"]).id) == ("thumbsup", activity["id"])
    assert parse_id(event.data["messageId"]).id == activity["parent"]["id"]
    assert parse_id(event.data["roomId"]).id == activity["target"]["id"]


def test_a_changed_file_is_a_message_update() -> None:
    (event,) = read("update_content")
    assert (event.resource, event.event) == ("messages", "updated")


def test_a_tombstone_is_a_deleted_message() -> None:
    (event,) = read("tombstone")
    assert (event.resource, event.event) == ("messages", "deleted")
    assert event.data.keys() == {"id", "personId", "personEmail", "roomId", "roomType"}
    assert parse_id(event.data["id"]).id == ROWS["tombstone"]["activity"]["id"]


def test_an_unknown_conversation_host_loses_no_event() -> None:
    (event,) = read("add_member when the conversation host is not in the catalog")
    assert (event.resource, event.event) == ("memberships", "created")


def test_clusters_as_public_ids_name_them() -> None:
    names = json.loads((Path(__file__).parents[1] / "vectors" / "hydra-ids.json").read_text())["cluster_names"]
    rows = [row for row in names if "cluster" in row]
    assert rows
    for row in rows:
        assert public_cluster(row["catalog_host_id"]) == row["cluster"]
