"""Python and Node environments of the house, made on first use from pinned files and kept until those change.

`python tools/environments.py NAME` prints what to start: the interpreter of a Python environment, the folder of a
Node one. It needs nothing but Python's standard library; it installs with uv where that is on the PATH, else with pip.

`demo` and `dev` are the checkout's `.venv` (the second also has the tools), `docs` is `.venv-docs`. All others live
in a cache folder outside the checkout: `WEBEX_DEV_CACHE`, else `webex-python-sdk` in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"


class EnvironmentUnavailableError(Exception):
    """An environment could not be made; the text says why."""


@dataclass(frozen=True)
class PythonEnvironment:
    """`requirements` are names of files in requirements/; `checkout` also installs this checkout, editable."""

    requirements: tuple[str, ...]
    folder: str | None = None
    checkout: bool = False


@dataclass(frozen=True)
class NodeEnvironment:
    """`source` is a folder of this checkout with a package.json and its lock."""

    source: str


PYTHON = {
    "demo": PythonEnvironment(("core",), ".venv", checkout=True),
    "dev": PythonEnvironment(("core", "dev"), ".venv", checkout=True),
    "docs": PythonEnvironment(("docs",), ".venv-docs"),
    "servers": PythonEnvironment(("core", "servers")),
    "providers": PythonEnvironment(("core", "providers")),
    "webexpythonsdk": PythonEnvironment(("webexpythonsdk",)),
    "wxc-sdk": PythonEnvironment(("wxc-sdk",)),
    "webex-bot": PythonEnvironment(("webex-bot",)),
    "webex-message-handler": PythonEnvironment(("webex-message-handler",)),
    "slack-sdk": PythonEnvironment(("slack-sdk",)),
    "fuzz": PythonEnvironment(("core", "fuzz")),
    "mutate": PythonEnvironment(("core", "mutate")),
}
NODE = {
    "node-webex": NodeEnvironment("tests/thirdparty/node"),
    "node-webex-2": NodeEnvironment("tests/thirdparty/node-2"),
    "node-ciscospark": NodeEnvironment("tests/thirdparty/node-ciscospark"),
    "node-bot-framework": NodeEnvironment("tests/thirdparty/node-bot-framework"),
}


def make(name: str) -> Path:
    """The interpreter (Python) or folder (Node) of an environment, which is made first if it must be.

    Raises `EnvironmentUnavailableError` when the registry or a tool for it cannot be reached.
    """
    if name in NODE:
        return _make_node(name, NODE[name])
    if name not in PYTHON:
        raise EnvironmentUnavailableError(f"There is no environment {name!r}; there are {', '.join([*PYTHON, *NODE])}.")
    return _make_python(name, PYTHON[name])


def cache_folder() -> Path:
    """Where environments beside the checkout's own are kept."""
    if named := os.environ.get("WEBEX_DEV_CACHE"):
        return Path(named)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "webex-python-sdk"
    home = os.environ.get("HOME") or os.environ.get("USERPROFILE")
    return Path(home) / ".cache" / "webex-python-sdk" if home else ROOT / ".cache"


def _make_python(name: str, wanted: PythonEnvironment) -> Path:
    files = {f"{each}.txt": REQUIREMENTS / f"{each}.txt" for each in wanted.requirements}
    if wanted.checkout:
        files["pyproject.toml"] = ROOT / "pyproject.toml"
    hashes = {key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in files.items()}
    if wanted.folder is not None:
        folder = ROOT / wanted.folder
    else:
        folder = cache_folder() / f"{name}-{_digest([*hashes.values(), sys.version])}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "webex-environment.json"
    if _installed(python, stamp).items() >= hashes.items():
        return python
    with _locked(folder):
        installed = _installed(python, stamp)
        missing = [key for key in hashes if installed.get(key) != hashes[key]]
        if not missing:
            return python
        _say(f"Making {folder.name if wanted.folder else f'the environment of {name}'} (once) ...")
        if not installed and not _answers(python):
            _make_venv(folder)
        if any(key != "pyproject.toml" for key in missing):
            listed = [part for key, path in files.items() if path.suffix == ".txt" for part in ("-r", str(path))]
            _install(python, ["--require-hashes", *listed])
        if wanted.checkout:
            _install(python, ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
        stamp.write_text(json.dumps(installed | hashes, indent=1))
    return python


def _installed(python: Path, stamp: Path) -> dict[str, str]:
    """What the environment was made from; nothing if it does not work (any more)."""
    try:
        found = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and _answers(python) else {}


def _answers(python: Path) -> bool:
    command = [str(python), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _make_venv(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _run([sys.executable, "-m", "venv", str(folder)])
    except EnvironmentUnavailableError:  # some systems pack venv or ensurepip apart
        uv = shutil.which("uv")
        if uv is None:
            raise
        shutil.rmtree(folder, ignore_errors=True)
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])


def _install(python: Path, arguments: list[str]) -> None:
    if uv := shutil.which("uv"):
        try:
            _run([uv, "pip", "install", "--quiet", "--python", str(python), *arguments])
            return
        except EnvironmentUnavailableError:
            _say("uv could not install; trying pip ...")
    pip = [str(python), "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode != 0:
        _run([str(python), "-m", "ensurepip"])
    _run([*pip, "install", "--quiet", "--disable-pip-version-check", "--no-input", *arguments])


def _make_node(name: str, wanted: NodeEnvironment) -> Path:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise EnvironmentUnavailableError(f"The environment {name} needs Node and npm on the PATH.")
    sources = [ROOT / wanted.source / each for each in ("package.json", "package-lock.json")]
    folder = cache_folder() / f"{name}-{_digest([path.read_text() for path in sources])}"
    done = folder / ".complete"
    if done.exists():
        return folder
    with _locked(folder):
        if done.exists():
            return folder
        _say(f"Making the environment of {name} (once, about a minute) ...")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in sources:
            shutil.copy(path, folder)
        # Without peers and optional parts: those of React Native and of the build tools of Node packages.
        quiet = [
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--legacy-peer-deps",
            "--omit=optional",
            "--loglevel=error",
        ]
        _run([npm, "ci", *quiet], cwd=folder)
        done.touch()
    return folder


def _run(command: list[str], cwd: Path | None = None) -> None:
    try:
        ended = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=1800
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentUnavailableError(f"{command[0]} could not be run: {error}") from error
    if ended.returncode != 0:
        last = "\n".join((ended.stderr or ended.stdout).strip().splitlines()[-15:])
        raise EnvironmentUnavailableError(f"`{' '.join(command)}` failed:\n{last}")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One maker at a time; the system frees the lock of one that was killed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (Path(tempfile.gettempdir()) / f"webex-environment-{_digest([str(folder)])}.lock").open("w") as file:
        if os.name != "nt":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Make the environments that the command line names, and print where each is."""
    names = sys.argv[1:]
    if not names:
        _say(f"Name one or more of {', '.join([*PYTHON, *NODE])}.")
        return 2
    try:
        for name in names:
            print(make(name))
    except EnvironmentUnavailableError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
