"""`python -m tools.generate facts OPENAPI_FOLDER` reads descriptions; `… code` writes the code."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.generate import code, facts

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "tools" / "generate" / "facts"
GENERATED = ROOT / "src" / "webex" / "api" / "generated"
MODELS = ROOT / "src" / "webex" / "models" / "generated"
OPERATIONS = ROOT / "src" / "webex" / "emulator" / "operations.py"

# Which descriptions are turned into code, and the name of their facts.
SOURCES = {"webex-messaging.json": "messaging.json"}


def read_descriptions(folder: Path) -> dict[Path, str]:
    """Facts files and their text."""
    added = additions()
    return {
        FACTS / name: facts.write(facts.add(facts.read_file(folder / source), added.get(name, [])))
        for source, name in SOURCES.items()
    }


def additions() -> dict[str, list[dict[str, Any]]]:
    """Return the facts that were added by hand, for each facts file."""
    found: dict[str, list[dict[str, Any]]] = json.loads((FACTS / "additions.json").read_text("utf-8"))
    return found


def write_code() -> dict[Path, str]:
    """Generated files and their text, formatted."""
    known = [json.loads((FACTS / name).read_text("utf-8")) for name in SOURCES.values()]
    files = {GENERATED / "__init__.py": code.package(known), MODELS / "messaging.py": code.models(known)}
    files |= {GENERATED / name: text for name, text in code.resources(known).items()}
    files[OPERATIONS] = code.operations(known)
    return {path: _formatted(path, text) for path, text in files.items()}


def _formatted(path: Path, text: str) -> str:
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "-",
        "--stdin-filename",
        str(path),
        "--config",
        str(ROOT / "pyproject.toml"),
    ]
    done = subprocess.run(ruff, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{path.name} can't be formatted:\n{done.stderr}")
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    """Run one stage; 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate")
    stages = parser.add_subparsers(dest="stage", required=True)
    reading = stages.add_parser("facts", help="OpenAPI descriptions to facts")
    reading.add_argument("folder", type=Path, help="the folder with the descriptions")
    writing = stages.add_parser("code", help="facts to code")
    for stage in (reading, writing):
        stage.add_argument("--check", action="store_true", help="compare byte for byte, write nothing")
    given = parser.parse_args(arguments)
    files = read_descriptions(given.folder) if given.stage == "facts" else write_code()
    different = 0
    for path, text in files.items():
        old = path.read_text("utf-8") if path.exists() else None
        if old == text:
            continue
        different += 1
        print(("differs: " if given.check else "wrote: ") + str(path.relative_to(ROOT)))
        if not given.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    print(f"{len(files)} files, {different} {'different' if given.check else 'written'}")
    return 1 if given.check and different else 0


if __name__ == "__main__":
    raise SystemExit(main())
