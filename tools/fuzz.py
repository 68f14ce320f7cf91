"""Feeds damaged input to every decoder of what comes from outside; only their own errors may come out.

    python -m tools.fuzz --seconds 600
    python -m tools.fuzz --seconds 60 --target frames --target files
    python -m tools.fuzz --target frames --replay FILE

With atheris (in the environment `fuzz`, that `scripts/bench --long` takes) coverage guides the mutations. Without it, a
plain loop changes the vectors at random, and the report says so. A finding is kept as a file in `--findings`; the exit
code is then 1.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import logging
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 16 * 1024  # bytes of one input
PIECES = (b"", b".", b"\n", b"\x00", b'"', b"{", b"[", b"null", b"-1", b"1e999", b"\xff", b'"\\ud800"', b"9" * 5000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, replay, or (within atheris) be one of its processes."""
    from tools.fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--target", action="append", choices=[*TARGETS], help="only this one; may be repeated")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris, even if it is there")
    parser.add_argument("--replay", type=Path, help="run one kept input")
    chosen = parser.parse_args(arguments)
    logging.disable()
    names = chosen.target or [*TARGETS]
    if chosen.replay is not None:
        for name in names:
            TARGETS[name](chosen.replay.read_bytes())
        return 0
    guided = not chosen.plain and importlib.util.find_spec("atheris") is not None
    print("guided by coverage (atheris)" if guided else "plain mutations of the vectors: atheris is not installed")
    fuzz = _guided if guided else _plain
    total = findings = 0
    for name in names:
        executions, found = fuzz(name, chosen.seconds / len(names), chosen.seed, chosen.findings)
        total, findings = total + executions, findings + found
        print(f"{name:12} {executions:10,} executions, {found} findings", flush=True)
    print(f"{'all':12} {total:10,} executions, {findings} findings")
    return 1 if findings else 0


# Without atheris


def _plain(name: str, seconds: float, seed: int, findings: Path) -> tuple[int, int]:
    from tools.fuzz_targets import TARGETS, seeds

    chance = random.Random(f"{seed} {name}")
    known = seeds(name) or [b"{}"]
    end = time.monotonic() + seconds
    executions = 0
    seen: set[str] = set()
    while time.monotonic() < end:
        executions += 1
        data = _changed(chance, known)
        try:
            TARGETS[name](data)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            if what not in seen:
                seen.add(what)
                kept = _keep(findings, name, data)
                print(f"{name}: {what}, kept as {kept}\n{traceback.format_exc()}", flush=True)
    return executions, len(seen)


def _changed(chance: random.Random, known: Sequence[bytes]) -> bytes:
    data = chance.choice(known)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(data))
        piece = chance.choice([*PIECES, chance.randbytes(chance.randint(1, 4)), chance.choice(known)[:200]])
        data = data[:at] + piece + data[at + chance.choice((0, len(piece), chance.randint(0, 60))) :]
    return data[:LONGEST]


def _keep(findings: Path, name: str, data: bytes) -> Path:
    findings.mkdir(parents=True, exist_ok=True)
    path = findings / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


# With atheris: one process a target, for it ends the process it runs in


def _guided(name: str, seconds: float, seed: int, findings: Path) -> tuple[int, int]:
    from tools.fuzz_targets import seeds

    findings.mkdir(parents=True, exist_ok=True)
    executions = found = 0
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds(name)):
            (Path(corpus) / f"seed-{number}").write_bytes(data[:LONGEST])
        while (left := round(end - time.monotonic())) > 0:
            options = [
                f"-max_total_time={left}",
                f"-max_len={LONGEST}",
                f"-seed={seed + found}",
                "-print_final_stats=1",
            ]
            ended = subprocess.run(
                [sys.executable, "-c", _PROCESS, name, *options, f"-artifact_prefix={findings}/{name}-", corpus],
                cwd=ROOT,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            counted = re.findall(r"stat::number_of_executed_units:\s+(\d+)", ended.stderr)
            executions += int(counted[-1]) if counted else 0
            if ended.returncode == 0:
                break
            found += 1
            print(f"{name}: {ended.stdout[-3000:]}\n{ended.stderr[-1500:]}", flush=True)
            if not counted or found > 10:
                break
    return executions, found


_PROCESS = """
import logging
import sys
import atheris
logging.disable()
with atheris.instrument_imports(include=["webex", "joserfc"]):
    from tools.fuzz_targets import TARGETS
target = TARGETS[sys.argv.pop(1)]
atheris.Setup(sys.argv, target)
atheris.Fuzz()
"""


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
