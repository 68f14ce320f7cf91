"""Eight processes on one SQLite file, and one that is killed while it holds a lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from webex.storage import SQLiteStorage

PROCESSES = 8
PRELUDE = """
import sys, time
from webex.storage import SQLiteStorage
storage = SQLiteStorage(sys.argv[1])
number = int(sys.argv[2])
binding = storage.bind("credentials")
print("ready", flush=True)
sys.stdin.readline()
"""


def start(path: Path, program: str, number: int = 0) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + program, str(path), str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def race(path: Path, program: str) -> list[str]:
    """The output of each of eight processes that run the program at the same time."""
    processes = [start(path, program, number) for number in range(PROCESSES)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return outputs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "webex.db"


def test_a_counter_raised_by_compare_and_swap_loses_no_step(path: Path) -> None:
    SQLiteStorage(path).bind("credentials").put("counter", 0)
    race(
        path,
        """
done = 0
while done < 25:
    value, version = binding.get_versioned("counter")
    done += binding.put_if_version("counter", value + 1, version) is not None
""",
    )
    assert SQLiteStorage(path).bind("credentials").get("counter") == PROCESSES * 25


def test_concurrent_processes_create_one_file(path: Path) -> None:
    race(path, "binding.put(f'key{number}', number)")
    binding = SQLiteStorage(path).bind("credentials")
    assert [binding.get(f"key{number}") for number in range(PROCESSES)] == list(range(PROCESSES))
    assert path.stat().st_mode & 0o777 == 0o600


def test_each_value_is_consumed_once(path: Path) -> None:
    binding = SQLiteStorage(path).bind("credentials")
    for number in range(25):
        binding.put(f"key{number}", number)
    outputs = race(
        path,
        """
for n in range(25):
    try:
        value, version = binding.get_versioned(f"key{n}")
    except KeyError:
        continue
    if binding.delete_if_version(f"key{n}", version):
        print(value, end=" ")
""",
    )
    taken = sorted(int(text) for output in outputs for text in output.split())
    assert taken == list(range(25))


def test_one_process_holds_a_lease_and_every_token_is_unique(path: Path) -> None:
    SQLiteStorage(path).bind("credentials").put("counter", 0)
    outputs = race(
        path,
        """
done = 0
while done < 10:
    lease = binding.try_lease("work", 60)
    if lease is None:
        time.sleep(0.001)
        continue
    binding.put("counter", binding.get("counter") + 1)
    lease.release()
    done += 1
    print(lease.token, end=" ")
""",
    )
    tokens = [token for output in outputs for token in output.split()]
    assert len(tokens) == len(set(tokens)) == PROCESSES * 10
    assert SQLiteStorage(path).bind("credentials").get("counter") == PROCESSES * 10


def test_the_lease_of_a_killed_process_expires(path: Path) -> None:
    holder = start(path, "lease = binding.try_lease('work', 600.0); print(lease.token, flush=True); time.sleep(60)")
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("go\n")
    holder.stdin.flush()
    token = holder.stdout.readline().strip()
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    assert binding.try_lease("work", 30) is None

    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()

    assert binding.try_lease("work", 30) is None  # it runs until it expires, whoever died
    now = storage.lease_clock
    storage.lease_clock = lambda: now() + 600
    lease = binding.try_lease("work", 30)
    assert lease is not None
    assert lease.token > token


def test_a_process_killed_in_a_transaction_keeps_the_committed_value(path: Path) -> None:
    SQLiteStorage(path).bind("credentials").put("key", "whole")
    killed = start(
        path,
        """
def die(db):
    db.execute("UPDATE webex_values SET value = '\\"half\\"'")
    print("inside", flush=True)
    time.sleep(60)
storage.connections.write(die, durable=True)
""",
    )
    assert killed.stdin is not None
    assert killed.stdout is not None
    killed.stdin.write("go\n")
    killed.stdin.flush()
    assert killed.stdout.readline() == "inside\n"

    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()

    binding = SQLiteStorage(path).bind("credentials")
    assert binding.get("key") == "whole"
    binding.put("key", "next")
    assert binding.get("key") == "next"
