"""`pytest --webex-storage=module:factory`, in a pytest run of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.inner_pytest import run_pytest

MODULE = """
import asyncio
from webex.storage import Capabilities, MemoryStorage

class Forgetful(MemoryStorage):
    def bind(self, namespace):
        binding = super().bind(namespace)
        binding.delete = lambda key: None
        return binding

class Both(MemoryStorage):
    # a set of one method more is enough to be tried in both styles
    capabilities = Capabilities()

    def bind_async(self, namespace):
        inner = self.bind(namespace)

        class Binding:
            async def get(self, key):
                return inner.get(key)
            async def put(self, key, value):
                inner.put(key, value)
            async def delete(self, key):
                inner.delete(key)
            async def clear(self):
                inner.clear()
        return Binding()

def fails():
    raise RuntimeError("no server")

not_callable = 1
"""


def run(folder: Path, named: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "my_storage.py").write_text(MODULE)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    return run_pytest(folder, "-q", f"--webex-storage={named}", *arguments, variables=os.environ)


def test_conforming_storage_passes_and_lists_skipped_behaviours(tmp_path: Path) -> None:
    done = run(tmp_path, "my_storage:MemoryStorage", "-k", "not expire and not alive and not lease and not remains")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "not asked for: lasts (the storage does not claim durable)" in done.stdout
    assert "(cut was not given)" in done.stdout


def test_broken_storage_fails_with_the_behaviour(tmp_path: Path) -> None:
    done = run(tmp_path, "my_storage:Forgetful", "-k", "::deletes")
    assert done.returncode == 1
    assert "my_storage:Forgetful breaks a behaviour: delete removes a value" in done.stdout
    assert "But get('key') after delete gives 1" in done.stdout


def test_storage_of_both_styles_is_tested_in_both(tmp_path: Path) -> None:
    done = run(tmp_path, "my_storage:Both", "-vv", "-k", "keeps_one_style or keeps_zero or survives_cancellation")
    assert done.returncode == 0, done.stdout
    for name, outcome in (
        ("[blocking]::keeps_zero", "PASSED"),
        ("[async]::survives_cancellation", "PASSED"),
        ("[blocking]::survives_cancellation", "SKIPPED"),
    ):
        assert [outcome in line for line in done.stdout.splitlines() if f"my_storage:Both{name}" in line] == [True]


def test_number_of_keys_is_an_option(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_collection_finish(session):\n    print('MANY', {item._case.many for item in session.items})\n"
    )
    done = run(tmp_path, "my_storage:MemoryStorage", "--webex-storage-many", "12345", "-s", "-k", "keeps_zero")
    assert done.returncode == 0, done.stdout
    assert "MANY {12345}" in done.stdout


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("my_storage", "not of the form module:name"),
        ("my_storage:missing", "my_storage has no 'missing'"),
        ("no_such_module:make", "there is no module 'no_such_module'"),
        ("my_storage:not_callable", "can't be called"),
        ("my_storage:fails", "RuntimeError: no server"),
    ],
)
def test_factory_that_cannot_be_used_is_an_error_of_usage(tmp_path: Path, named: str, told: str) -> None:
    done = run(tmp_path, named)
    assert done.returncode == 4
    assert told in done.stdout + done.stderr
