"""Public ids, made and read, against those that the JS SDK made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webex.ids import content_id, is_hydra_id, is_uuid, membership_id, parse_id, person_uuid, to_hydra_id, to_uuid
from webex.realtime.events import room_type

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "hydra-ids.json").read_text())
CLUSTER = "urn:TEAM:eu-central-1_k"
UUID = "842e2d82-7e71-4040-8eb9-d977fe888807"
ROOM = "5b6f7a10-93e5-11ef-8d0a-4f1c0e5d7b11"
KINDS = {
    "buildHydraPersonId": "PEOPLE",
    "buildHydraOrgId": "ORGANIZATION",
    "buildHydraRoomId": "ROOM",
    "buildHydraMessageId": "MESSAGE",
}


def made(function: str, *args: Any) -> str:
    """The id that a function of the JS SDK makes, made by ours."""
    if function == "constructHydraId":
        kind, inner, *cluster = args
    elif function == "buildHydraMembershipId":
        person, room, *cluster = args
        return membership_id(person, room, cluster=cluster[0] if cluster else "us")
    else:
        kind, (inner, *cluster) = KINDS[function], args
    return to_hydra_id(kind, inner, cluster=cluster[0] if cluster else "us")


@pytest.mark.parametrize("row", VECTORS["ids"], ids=lambda row: f"{row['function']} {len(row['args'])}")
def test_an_id_is_made_and_read_as_in_the_js_sdk(row: Any) -> None:
    assert made(row["function"], *row["args"]) == row["id"]
    parts = parse_id(row["id"])
    assert f"ciscospark://{parts.cluster}/{parts.kind}/{parts.id}" == row["decoded"]
    assert str(parts) == row["id"]


def test_files_of_a_message_are_named_as_in_the_js_sdk() -> None:
    files = VECTORS["file_urls"]
    ours = [
        f"https://api.ciscospark.com/v1/contents/{content_id(files['activity_id'], n)}" for n in range(files["count"])
    ]
    assert ours == files["result"]


@pytest.mark.parametrize("row", VECTORS["room_types"], ids=str)
def test_the_type_of_a_room_is_read_as_in_the_js_sdk(row: Any) -> None:
    assert room_type(row["tags"]) == row["type"]


@pytest.mark.parametrize("kind", ["PEOPLE", "ORGANIZATION", "people"])
def test_people_and_organizations_belong_to_no_cluster(kind: str) -> None:
    assert to_hydra_id(kind, UUID, cluster=CLUSTER) == to_hydra_id(kind, UUID)
    assert parse_id(to_hydra_id(kind, UUID, cluster=CLUSTER)).cluster == "us"
    assert parse_id(to_hydra_id("ROOM", UUID, cluster=CLUSTER)).cluster == CLUSTER


@given(
    st.sampled_from(["ROOM", "MESSAGE", "MEMBERSHIP", "TEAM", "ATTACHMENT_ACTION"]),
    st.uuids(),
    st.sampled_from(["us", CLUSTER]),
)
def test_an_id_round_trips_with_or_without_padding(kind: str, uuid: Any, cluster: str) -> None:
    inner = f"{uuid}:{ROOM}" if kind == "MEMBERSHIP" else str(uuid)
    public = to_hydra_id(kind, inner, cluster=cluster)
    assert not set(public) & set("+/=")
    padded = public + "=" * (-len(public) % 4)
    for text in (public, padded):
        assert parse_id(text) == (cluster, kind, inner)
    assert to_hydra_id(kind, public) == public
    assert to_uuid(public) == (ROOM if kind == "MEMBERSHIP" else str(uuid))


@pytest.mark.parametrize("text", ["", "nonsense", UUID, "Y2lzY29zcGFyazovL3Vz", "Y2lzY29zcGFyazovL3VzL1JPT00v", "ü"])
def test_an_invalid_public_id_is_refused(text: str) -> None:
    assert not is_hydra_id(text)
    with pytest.raises(ValueError, match="not a Webex id"):
        parse_id(text)


def test_a_person_has_one_key_for_every_spelling() -> None:
    assert person_uuid(UUID.upper()) == person_uuid(to_hydra_id("PEOPLE", UUID)) == UUID
    assert person_uuid("my-own-key") == "my-own-key"
    assert is_uuid(UUID.upper())
    assert not is_uuid(f"{UUID} ")
