"""Whatever can be made to misbehave is on the page about the emulator, and can be reached from another process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from webex.emulator import Cloud, EmulatorClient
from webex.emulator.conversation.faults import ConversationFaults
from webex.emulator.realtime.commands import COMMANDS
from webex.emulator.realtime.faults import KMSFaults, MercuryFaults
from webex.emulator.u2c import CatalogFaults

PAGE = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")
FAULTS = (MercuryFaults, KMSFaults, ConversationFaults, CatalogFaults)


@pytest.mark.parametrize("name", sorted({name for kind in FAULTS for name in kind.__struct_fields__}))
def test_every_fault_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE


# Those that only ask are shown in Python alone.
@pytest.mark.parametrize(
    "name", sorted(COMMANDS.keys() - {"kms_root", "mercury_connections", "mercury_unacknowledged", "mercury_wait"})
)
def test_every_command_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("service", ["mercury", "kms", "conversations", "catalog"])
def test_documented_python_names_exist_locally_and_remotely(webex_cloud: Cloud, service: str) -> None:
    here: Any = getattr(webex_cloud, service)
    elsewhere: Any = getattr(EmulatorClient(webex_cloud.url), service)
    shown = set(re.findall(rf"cloud\.{service}\.(\w+)", PAGE))
    assert "set_faults" in shown
    for name in shown:
        assert hasattr(here, name)
        assert hasattr(type(elsewhere), name)
