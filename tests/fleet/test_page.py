"""What `docs/fleet.md` shows for systemd and Kubernetes can be read by them, and fits the command."""

from __future__ import annotations

import configparser
import inspect
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.tiers import program
from webex.cli.fleet import run as run_command
from webex.cli.group import webex
from webex.fleet import Fleet
from webex.fleet.delivery import Counts
from webex.fleet.health import FleetHealth
from webex.fleet.probes import answer_probe

PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"
GRACE: float = inspect.signature(Fleet).parameters["grace"].default


def block(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert len(found) == 1
    return str(found[0])


def parameters_of(words: list[str]) -> dict[str, Any]:
    """The parameters with which a command line calls `webex fleet run`."""
    assert words[1:3] == ["fleet", "run"]
    assert webex.get_command(None, "fleet") is not None  # type: ignore[arg-type]  # it needs no context
    return run_command.make_context("run", words[3:]).params


def health(**more: Any) -> FleetHealth:
    known = {"live": True, "ready": True, "draining": False, "shards": 0, "users": 0, "connecting": 0, "refused": 0}
    return FleetHealth(worker="w", in_hand=0, counts=Counts(), **{**known, **more})


def test_unit_of_systemd_gives_the_workers_time_to_hand_over() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names have capitals
    unit.read_string(block("ini"))
    service = unit["Service"]
    assert parameters_of(shlex.split(service["ExecStart"]))["workers"] == 4
    assert float(service["TimeoutStopSec"]) > GRACE
    assert service["KillSignal"] == "SIGTERM"
    assert service["Restart"] == "always"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    path = tmp_path / "webex-fleet.service"
    path.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={program('true')}", block("ini"), flags=re.M))
    done = subprocess.run([analyze, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if path.name in line and "Unknown" in line], done.stderr


def test_manifest_of_kubernetes_fits_the_command_and_the_probes() -> None:
    manifest = yaml.safe_load(block("yaml"))
    assert (manifest["apiVersion"], manifest["kind"]) == ("apps/v1", "Deployment")
    spec = manifest["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    template = spec["template"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert template["spec"]["terminationGracePeriodSeconds"] > GRACE
    (container,) = template["spec"]["containers"]
    assert set(container) <= {
        *("name", "image", "command", "envFrom", "ports", "livenessProbe", "readinessProbe", "resources")
    }
    (port,) = container["ports"]
    assert parameters_of(container["command"])["probes"] == f"0.0.0.0:{port['containerPort']}"
    for probe, well, ill in (
        ("livenessProbe", health(), health(live=False)),
        ("readinessProbe", health(), health(ready=False)),
    ):
        asked = container[probe]["httpGet"]
        assert asked["port"] == port["name"]
        assert (answer_probe(asked["path"], well)[0], answer_probe(asked["path"], ill)[0]) == (200, 503)
