"""The npm package `webex` uses every feature of the conversation service, unchanged."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.tiers import environment, program
from webex.emulator import Cloud, accounts

pytestmark = [pytest.mark.node, pytest.mark.thirdparty]
STORY = Path(__file__).parent / "node" / "conversations.js"


def test_conversations_of_the_npm_package(cloud: Cloud) -> None:
    base = cloud.url
    variables = {
        "BASE": base,
        "ALICE": accounts.ALICE_TOKEN,
        "BOB": accounts.BOB_TOKEN,
        "BOB_ID": accounts.BOB_ID,
        "ADMIN_ID": accounts.ADMIN_ID,
        "WEBEX_NODE_MODULES": str(environment("node-webex") / "node_modules"),
        "HYDRA_SERVICE_URL": f"{base}/v1",
        "U2C_SERVICE_URL": f"{base}/u2c/api/v1",
        "IDBROKER_BASE_URL": base,
        "IDENTITY_BASE_URL": base,
        "METRICS_SERVICE_URL": f"{base}/metrics/api/v1",
    }
    ran = subprocess.run(
        [program("node"), str(STORY)],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "create": [["WELCOME"], [["create", "A title"], ["post", "hi"]]],
        "direct": [["ONE_ON_ONE"], True],
        "favorite": ["FAVORITE"],
        "verbs": {verb: [True, False] for verb in ("favorite", "mute", "hide", "lock")},
        "notifications": ["MENTION_NOTIFICATIONS_OFF", "MESSAGE_NOTIFICATIONS_ON", "WELCOME"],
        "quiet": ["WELCOME"],
        "reactions": [["reactionSummary", [["heart", 1]]], ["reactionSelfSummary", [["heart", 1]]]],
        "tombstone": "tombstone",
        "updateKey": True,
        "threads": [[True, ["an answer"]]],
        "paginate": [1, 1],
        "acknowledge": True,
        "seen": [["alice@example.com"], ["alice@example.com", "bob@example.com"]],
        "unread": [True, False],
        "listed": True,
        "share": ["share", "a note"],
        "assign": ["a.txt", False],
        "left": [True],
    }
