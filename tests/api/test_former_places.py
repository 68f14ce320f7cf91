"""Models are found where 0.1.0 had them, and what it pickled is read."""

from __future__ import annotations

import base64
import importlib
import pickle
import subprocess
import sys

import pytest

import webex.api
import webex.models
from webex.models import Message, Room

# Written by 0.1.0: `webex.api.models._rebuilt` and the class in `webex.api.generated.models`.
ROOM = (
    "gASV0gAAAAAAAACMEHdlYmV4LmFwaS5tb2RlbHOUjAhfcmVidWlsdJSTlIwad2ViZXguYXBpLmdlbmVyYXRlZC5tb2RlbHOUjARSb29tlJOUfZQo"
    "jAJpZJSMHlkybHpZMjl6Y0dGeWF6b3ZMM1Z6TDFKUFQwMHZNUZSMBXRpdGxllIwGQSByb29tlIwEdHlwZZSMBWdyb3VwlIwHY3JlYXRlZJSMGDIw"
    "MjYtMDEtMDJUMDM6MDQ6MDUuMDAwWpSMDHVua25vd25GaWVsZJR9lIwBYZRLAXN1hpRSlC4="
)
# The same with an event of `listen()`, whose model had been made.
EVENT = (
    "gASVGgIAAAAAAACMFHdlYmV4LnJlYWx0aW1lLmV2ZW50lIwFRXZlbnSUk5QpgZROfZQojAlfYWN0aXZpdHmUTowGX2FjdG9ylIwkYjBiMDAwMDAt"
    "MDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAylIwJX2F1ZGllbmNllGgAjAhBdWRpZW5jZZSTlCmBlF2UKIwCbWWUjANvcmeUjAhkYXRldGltZZSM"
    "CGRhdGV0aW1llJOUQwoAAQEBAAAAAAAAlGgPjAh0aW1lem9uZZSTlGgPjAl0aW1lZGVsdGGUk5RLAEsASwCHlFKUhZRSlIaUUpROZWKMBV9kYXRh"
    "lIwQd2ViZXguYXBpLm1vZGVsc5SMCF9yZWJ1aWx0lJOUjBp3ZWJleC5hcGkuZ2VuZXJhdGVkLm1vZGVsc5SMB01lc3NhZ2WUk5R9lCiMAmlklIwB"
    "TZSMBHRleHSUjAVoZWxsb5SMCHBlcnNvbklklIwBUJR1hpRSlIwIX2luX2hhbmSUTowKX3B1Ymxpc2hlZJSMGDIwMjYtMDEtMDJUMDM6MDQ6MDUu"
    "MDAwWpSMC2FjdGl2aXR5X2lklIwFYWN0LTGUjBBkZWNyeXB0aW9uX2Vycm9ylE6MBWV2ZW50lIwHY3JlYXRlZJSMA3Jhd5R9lChoJWgmaCdoKGgp"
    "aCp1jAtyZWRlbGl2ZXJlZJSIjAhyZXNvdXJjZZSMCG1lc3NhZ2VzlHWGlGIu"
)


def test_pickled_model_is_read() -> None:
    room = pickle.loads(base64.b64decode(ROOM))
    assert type(room) is Room
    assert (room.title, room.type, room.extra) == ("A room", "group", {"unknownField": {"a": 1}})
    assert room.created is not None


def test_pickled_event_is_read() -> None:
    event = pickle.loads(base64.b64decode(EVENT))
    assert type(event.data) is Message
    assert (event.data.text, event.resource, event.event, event.redelivered) == ("hello", "messages", "created", True)
    assert event.org_id == "org"
    event.ack()  # of a copy: nothing happens
    assert repr(event) == "<Event messages:created act-1 redelivered>"


@pytest.mark.parametrize("name", webex.models.__all__)
def test_each_model_is_the_same_in_every_place(name: str) -> None:
    model = getattr(webex.models, name)
    former = "webex.api.models" if name == "Model" else "webex.api.generated.models"
    assert getattr(webex.api, name) is model
    assert getattr(importlib.import_module(former), name) is model


def test_models_do_not_import_resources() -> None:
    code = "import sys, webex.models.generated.messaging; print([n for n in sys.modules if n.startswith('webex.api')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("former", "present"), [("Listening", "Subscription"), ("BlockingListening", "BlockingSubscription")]
)
def test_former_subscription_name_warns(former: str, present: str) -> None:
    module = importlib.import_module("webex.realtime")
    with pytest.warns(DeprecationWarning, match=f"is now {present}"):
        assert getattr(module, former) is getattr(module, present)
