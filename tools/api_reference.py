"""Write the pages of the API: `python -m tools.api_reference [--check]`.

`docs/public-api.md` lists the public names, read out of each public module's `__all__`; `docs/api/*.md` tell the docs
tool whose docstrings to show. No module is imported, so that no extra has to be installed.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
DOCS = ROOT / "docs"
LIST = DOCS / "public-api.md"
BEGIN = "<!-- names: written by tools/api_reference.py -->\n"
END = "<!-- names: end -->\n"

# Page of the reference → its title, and the modules on it. A module that ends in `*` stands for those below it.
PAGES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "clients": ("Clients", ("webex",)),
    "resources": ("Resources", ("webex.api",)),
    "models": ("Models", ("webex.models",)),
    "web": (
        "Sign-in and webhooks",
        ("webex.web", "webex.web.*", "webex.web.django.users.views", "webex.webhooks", "webex.webhooks.*"),
    ),
    "realtime": ("Real time", ("webex.realtime",)),
    "fleet": ("Fleets", ("webex.fleet",)),
    "bots": ("Bots and cards", ("webex.bots", "webex.bots.allow", "webex.cards", "webex.app_storage")),
    "storage": ("Storage", ("webex.storage", "webex.storage.conformance")),
    "calls": (
        "Calls, hooks and ids",
        ("webex.http", "webex.telemetry", "webex.opentelemetry", "webex.ids", "webex.config"),
    ),
    "testing": ("Testing", ("webex.testing", "webex.testing.bots", "webex.emulator")),
    "errors": ("Errors", ("webex.errors",)),
}
# Names in an `__all__` that other parts of the package use, and that may change at any time.
INTERNAL: Final[dict[str, frozenset[str]]] = {
    "webex.http": frozenset(
        {"HostPolicy", "Pipeline", "TokenSource", "asked_wait", "parse_link_header", "parse_retry_after"}
    ),
    "webex.api": frozenset({"Session"}),
    "webex.ids": frozenset({"checked_key", "comparable_id"}),
    "webex.storage": frozenset({"StorageAccess"}),
    "webex.telemetry": frozenset({"Telemetry", "short_path"}),
}
_NOT_PUBLIC: Final = frozenset({"webex.web.sessions"})  # its names are those of the package


def path_of(module: str) -> Path:
    """The file of a module."""
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def exported(module: str) -> list[str] | None:
    """The names in a module's `__all__`, as it stands there; None without one."""
    for node in ast.parse(path_of(module).read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]  # an assignment, as its targets say
    return None


def modules_of(patterns: tuple[str, ...]) -> list[str]:
    """The modules that are meant; those below a package only if they have an `__all__`."""
    found = []
    for pattern in patterns:
        if not pattern.endswith(".*"):
            found.append(pattern)
            continue
        package = pattern.removesuffix(".*")
        folder = path_of(package).parent
        paths = [*folder.glob("[a-z]*.py"), *(path.parent for path in folder.glob("[a-z]*/__init__.py"))]
        below = sorted(f"{package}.{path.stem}" for path in paths)
        found += [name for name in below if name not in _NOT_PUBLIC and exported(name) is not None]
    return found


def public_names() -> dict[str, list[str]]:
    """Each public module and its public names, sorted."""
    names = {}
    for _, patterns in PAGES.values():
        for module in modules_of(patterns):
            names[module] = sorted(set(exported(module) or ()) - INTERNAL.get(module, frozenset()), key=str.lower)
    return names


def table() -> str:
    """The list of public names, as Markdown."""
    rows = [
        f"| `{module}` | {', '.join(f'`{name}`' for name in names)} |\n" for module, names in public_names().items()
    ]
    return "".join(["| module | names |\n| --- | --- |\n", *rows])


def page(title: str, modules: list[str]) -> str:
    """One page of the reference. A name is described once, where it comes first."""
    lines = [f"# {title}\n"]
    for module in modules:
        lines.append(f"\n## {module}\n")
        for name in public_names()[module]:
            if name != "__version__" and (module != "webex" or not name.endswith("Error")) and name != "conformance":
                lines.append(f"\n::: {module}.{name}\n")
    return "".join(lines)


def written() -> dict[Path, str]:
    """The pages, and what stands in them."""
    before, _, rest = LIST.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after and END not in rest:
        raise SystemExit(f"{LIST.name} lacks the marks {BEGIN.strip()} and {END.strip()}")
    pages = {LIST: f"{before}{BEGIN}\n{table()}\n{END}{after}"}
    for name, (title, patterns) in PAGES.items():
        pages[DOCS / "api" / f"{name}.md"] = page(title, modules_of(patterns))
    return pages


def main() -> int:
    """Write the pages, or name those that differ from what would be written."""
    different = [
        path for path, text in written().items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in different:
            sys.stderr.write(f"{path.relative_to(ROOT)} differs: python -m tools.api_reference\n")
        return int(bool(different))
    for path in different:
        path.parent.mkdir(exist_ok=True)
        path.write_text(written()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
