"""A pytest run of its own, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["run_pytest"]


def run_pytest(
    folder: Path, *arguments: str, variables: Mapping[str, str], by_entry_point: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder with these variables, and with no plugin but ours and those that arguments name.

    To load every plugin that is installed beside takes ten times as long as a small run; `by_entry_point` does it, as
    in a user's environment.
    """
    environment = {name: value for name, value in variables.items() if not name.startswith("PYTEST_")}
    ours: tuple[str, ...] = ("-p", "no:randomly", "-p", "no:xdist")
    if not by_entry_point:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        ours = ("-p", "webex.testing.plugin")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *ours, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
