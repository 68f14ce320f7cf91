"""Vectors made by the libraries of published clients; keys and certificates in them are test values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "vectors"


def load(name: str) -> Any:
    """One file of vectors."""
    return json.loads((FOLDER / f"{name}.json").read_text())
