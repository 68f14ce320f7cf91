"""Every python block of the README and the docs is right by `mypy --strict` and by pyright's strict mode."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of, pages
from tests.docs.typed_blocks import HELP, UNTYPED, complaints, write_modules

BLOCKS = [block for page in pages() for block in blocks_of(page) if block.language == "python"]

SAMPLE = Path(__file__).with_name("typed_sample.py")


def mypy(folder: Path) -> str:
    settings = ["[mypy]", "strict = True", "disallow_subclassing_any = False"]
    for name in UNTYPED:
        settings += [f"[mypy-{name}.*]", "ignore_missing_imports = True"]
    (folder / "mypy.ini").write_text("\n".join(settings))
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--no-error-summary", "--hide-error-context", "."],
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout


def pyright(folder: Path) -> str:
    (folder / "pyrightconfig.json").write_text(
        json.dumps({"include": ["."], "pythonVersion": "3.11", "reportMissingTypeStubs": False})
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout


CHECKERS = [
    pytest.param(mypy, id="mypy"),
    pytest.param(pyright, id="pyright", marks=pytest.mark.node),
]


WRONG_PAGE = """# A page

```python
number: int = 1
```

<!-- continues; with: client -->
```python
me = await client.people.me()
number = f\"\"\"
{me.id}\"\"\"
```
"""


@pytest.mark.parametrize("checker", CHECKERS)
def test_blocks_have_right_types(checker: Callable[[Path], str], tmp_path: Path) -> None:
    page = tmp_path / "wrong.md"
    page.write_text(WRONG_PAGE)
    folder = tmp_path / "modules"
    folder.mkdir()
    modules = write_modules([*BLOCKS, *blocks_of(page)], folder)
    shutil.copy(SAMPLE, folder / "sample.py")

    output = checker(folder)

    found = sorted(complaints(output, modules))
    seen = [each for each in found if each.startswith("wrong.md:")]
    wrong = [each for each in found if each not in seen]
    wrong += [line.strip() for line in output.splitlines() if "sample.py:" in line]
    assert not wrong, "\n".join([*wrong, HELP])
    assert len(seen) == 1, "The checker was to find what is wrong on purpose."
    assert seen[0].startswith("wrong.md:10: error: ")
