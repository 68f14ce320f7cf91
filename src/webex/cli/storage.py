"""`webex storage`: look after the storage of an app."""

from __future__ import annotations

from typing import Any

import click

from webex.cli.addresses import KEYS_VARIABLE, opened, storage_option
from webex.cli.output import confirmed, json_option, print_result, progress, table, yes_option
from webex.cli.storage_checks import capabilities_of, server_facts, server_problems, tried
from webex.cli.suggestions import ReportingGroup
from webex.errors import StorageError
from webex.runtime import BlockingRuntime, drive, drive_iter
from webex.storage import EncryptedStorage, StorageAccess
from webex.storage.encryption_keys import is_encrypted
from webex.storage.reserved import NOTES


@click.group("storage", cls=ReportingGroup)
def command() -> None:
    """Check, prepare, copy and count the storage of an app.

    \b
      webex storage check --storage redis://localhost/0
      webex storage migrate --storage postgresql://app@db/app
      webex storage stats
      webex storage copy webex.db redis://localhost/0

    Without --storage it is the one of WEBEX_STORAGE. If values are encrypted, WEBEX_STORAGE_KEYS has the keys.
    """


@command.command("check")
@storage_option
@json_option
def check(address: str | None, as_json: bool) -> None:
    """Write, read, swap, lease and remove values of its own, and print what the storage can do."""
    with opened(address) as access:
        steps, found = tried(access)
        facts = server_facts(access.storage)
        problems = [*found, *(server_problems(facts) if facts is not None else ())]
        can = capabilities_of(access)
        data = {
            "storage": repr(access.storage),
            "capabilities": can,
            "milliseconds": {name: round(value * 1000, 2) for name, value in steps.items()},
            "problems": [what for what, _ in problems],
            "remedies": [remedy for _, remedy in problems],
        }
        lines = [
            f"{data['storage']}",
            f"can do: {', '.join(can) or 'the four plain calls'}",
            *(f"{name}: {value * 1000:.2f} ms" for name, value in steps.items()),
            *(f"PROBLEM: {what}\n  → {remedy}" for what, remedy in problems),
            *([] if problems else ["No problem was found."]),
        ]
    print_result(data, "\n".join(lines), as_json=as_json)
    if problems:
        raise SystemExit(1)


@command.command("migrate")
@storage_option
@json_option
def migrate(address: str | None, as_json: bool) -> None:
    """Create the tables of the storage, or bring them to the newest version. Safe to call again."""
    with opened(address, encrypted=False, create=True) as access:
        storage: Any = access.storage.inner if isinstance(access.storage, EncryptedStorage) else access.storage
        if hasattr(storage, "migrate"):
            steps: int | None = storage.migrate()
            text = f"{steps} steps were taken." if steps else "It is up to date."
        elif hasattr(storage, "create_tables"):
            storage.create_tables()
            steps, text = None, "The tables are there."
        else:
            steps, text = 0, f"{storage!r} has nothing to migrate."
        data = {"storage": repr(storage), "steps": steps}
    print_result(data, text, as_json=as_json)


@command.command("stats")
@storage_option
@json_option
def stats(address: str | None, as_json: bool) -> None:
    """Count the keys of each namespace."""
    with opened(address, encrypted=False) as access:
        counts = counted(access, quiet=as_json)
    total = sum(counts.values())
    rows = [*counts.items(), ("all", total)]
    print_result({"namespaces": counts, "keys": total}, table(("namespace", "keys"), rows), as_json=as_json)


@command.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--dry-run", is_flag=True, help="Only count what would be copied.")
@click.option("--flip", is_flag=True, help="Copy, then make TO the true one for all workers.")
@json_option
@yes_option
def copy(source: str, target: str, dry_run: bool, flip: bool, as_json: bool, yes: bool) -> None:
    """Copy what FROM holds to TO, as it is stored; safe to call again, and while the app runs.

    Values that are encrypted stay so. --flip is for an app whose workers all have MigratingStorage(old, new): it moves
    what is left and makes TO the true one; workers without it are refused from then on. After an interruption, give
    the same command again. Where the app encrypts its values, --flip needs the keys in WEBEX_STORAGE_KEYS, or FROM and
    TO as functions (module:name) that make the storages as the app does.
    """
    from webex.storage import MigratingStorage, MigrationReport

    if flip and dry_run:
        raise click.UsageError("Give --dry-run or --flip.")
    with opened(source, encrypted=flip) as old, opened(target, encrypted=flip, create=True) as new:
        both = MigratingStorage(old.storage, new.storage)
        if flip:
            _check_encryption(old, "FROM")
            _check_encryption(new, "TO")
        begun = both.phase() is not None
        if begun and not flip:
            raise click.UsageError(
                f"{old.storage!r} is flipped already. Give --flip to move what an interruption left there; otherwise "
                "there is nothing to copy."
            )
        if flip:
            confirmed(
                f"Values are moved out of {old.storage!r}, and workers without MigratingStorage(old, new) are refused. "
                "Go on?",
                yes=yes,
            )
        total = sum(counted(StorageAccess(both, BlockingRuntime()), quiet=True).values())
        report: Any = MigrationReport()
        if not begun:
            with progress("Copying", total, quiet=as_json) as reach:
                report = both.copy(dry_run=dry_run, progress=lambda so_far: reach(so_far.keys))
        moved: int | None = None
        if flip:
            with progress("Moving", total, quiet=as_json) as reach:
                flipped: Any = both.flip(progress=lambda so_far: reach(so_far.keys))
            moved = flipped.copied
        data = {
            "keys": report.keys,
            "copied": report.copied,
            "same": report.same,
            "extra": report.extra,
            "namespaces": dict(report.namespaces),
            "dry_run": dry_run,
            "moved": moved,
            "resumed": begun,
        }
    copied = f"{report.copied} would be copied" if dry_run else f"{report.copied} copied"
    text = f"{report.keys} keys: {copied}, {report.same} were there already"
    if begun:
        text = "The flip had begun before"
    if report.extra:
        text += f"; {report.extra} keys are only in the new storage"
    if moved is not None:
        text += f"; {moved} moved, and the new storage is the true one"
    print_result(data, text + ".", as_json=as_json)


def _check_encryption(access: StorageAccess, which: str) -> None:
    """Refuse to move values without the encryption that the app's workers use: they could not read what is written."""
    encrypted = isinstance(access.storage, EncryptedStorage)
    inner: Any = access.storage.inner if isinstance(access.storage, EncryptedStorage) else access.storage
    for namespace in set(inner.namespaces()) - {NOTES}:
        binding = inner.bind(namespace)
        key = next((key for page in binding.keys(page_size=1) for key in page), None)
        found = binding.get_many([key]) if key is not None else {}
        if encrypted and not all(map(is_encrypted, found.values())):
            raise click.UsageError(
                f"{which} holds values that are not encrypted (in the namespace {namespace!r}), and {KEYS_VARIABLE} is "
                "set. Name the two storages as functions that make them as the app does: module:name."
            )
        if not encrypted and any(map(is_encrypted, found.values())):
            raise click.UsageError(
                f"{which} holds encrypted values (in the namespace {namespace!r}). Set {KEYS_VARIABLE} to the keys of "
                "the app, or name the two storages as functions that make them as the app does: module:name."
            )


def counted(access: StorageAccess, *, quiet: bool) -> dict[str, int]:
    """Return how many keys each namespace holds."""
    names = drive(access.namespaces())
    if names is None:
        raise StorageError(f"{access.storage!r} can't list its namespaces, so its keys can't be counted.")
    counts = {}
    with progress("Counting", len(names), quiet=quiet) as reach:
        for number, name in enumerate(names, 1):
            counts[name] = sum(1 for _ in drive_iter(access.keys(name)))
            reach(number)
    return counts
