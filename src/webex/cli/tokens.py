"""`webex tokens`: look at the users whose tokens are stored, and remove them. Never shows a secret."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from webex.auth.store import NAMESPACE
from webex.auth.users import UserFilter, ends_at, matching
from webex.cli.addresses import encryption_keys, opened, storage_option
from webex.cli.output import confirmed, json_option, print_result, progress, table, yes_option
from webex.cli.storage import counted
from webex.cli.suggestions import ReportingGroup
from webex.errors import NotSignedInError
from webex.errors.base import one_line
from webex.ids import checked_key
from webex.runtime import drive, drive_iter
from webex.storage.paths import split_path
from webex.view import app_of

if TYPE_CHECKING:
    from webex import Integration
    from webex.auth.store import Record
    from webex.storage import StorageAccess

_DAY: Final = 86_400.0
client_option: Final = click.option(
    "--client-id", envvar="WEBEX_CLIENT_ID", help="The app whose users these are. Default: WEBEX_CLIENT_ID."
)


@click.group("tokens", cls=ReportingGroup)
def command() -> None:
    """List, show and remove the stored tokens of an app's users. No token is ever printed.

    \b
      webex tokens list --expires-within 14
      webex tokens show KEY
      webex tokens purge --ended
      WEBEX_STORAGE_KEYS="NEW OLD" webex tokens rotate-keys
    """


@contextmanager
def _app(address: str | None, client_id: str | None) -> Iterator[Integration]:
    from webex import Integration

    if not client_id:
        raise click.UsageError("Which app? Give --client-id, or set WEBEX_CLIENT_ID.")
    with opened(address) as access, Integration(storage=access.storage, client_id=client_id) as integration:
        yield integration


@command.command("list")
@storage_option
@client_option
@click.option("--expires-within", type=float, metavar="DAYS", help="Those who have to sign in again by then.")
@click.option("--changed-within", type=float, metavar="DAYS", help="Those who signed in or were refreshed since.")
@click.option("--scope", help="Those whose tokens have these scopes, separated by spaces.")
@click.option("--kind", type=click.Choice(["person", "service_app"]))
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many at most.")
@json_option
def list_users(
    address: str | None,
    client_id: str | None,
    expires_within: float | None,
    changed_within: float | None,
    scope: str | None,
    kind: Literal["person", "service_app"] | None,
    limit: int,
    as_json: bool,
) -> None:
    """List users, and how their tokens are."""
    now = time.time()
    with _app(address, client_id) as integration:
        wanted = UserFilter.of(
            expires_before=None if expires_within is None else now + expires_within * _DAY,
            changed_since=None if changed_within is None else now - changed_within * _DAY,
            scope=scope,
            kind=kind,
        )
        found: list[dict[str, Any]] = []
        more = False
        for key, record in drive_iter(matching(app_of(integration).store, wanted)):
            if len(found) == limit:
                more = True
                break
            found.append(described(key, record, now))
        nobody = "" if found else _nobody(app_of(integration).access, str(client_id), filtered=wanted != UserFilter())
    rows = [(each["key"], each["state"], each["expires"] or "-", each["ends"] or "-") for each in found]
    text = table(("user", "access token", "until", "sign-in ends"), rows) if rows else nobody
    print_result({"users": found, "more": more}, text + ("\nThere are more: --limit." if more else ""), as_json=as_json)


@command.command("show")
@click.argument("key")
@storage_option
@client_option
@json_option
def show(key: str, address: str | None, client_id: str | None, as_json: bool) -> None:
    """Show what is known of one user's tokens, and which values are stored; no token, and no content."""
    with _app(address, client_id) as integration:
        record = drive(app_of(integration).store.load(checked_key(key)))
        if record is None:
            raise NotSignedInError(f"Nothing is stored for the user {key!r}.", user_key=key)
        data = described(checked_key(key), record, time.time())
        data["stored"] = [list(each) for each in integration.stored(key)] if _lists(integration) else None
    lines = [f"{name}: {_text(value)}" for name, value in data.items() if name != "stored"]
    lines += [one_line(f"stored: {namespace} {name}") for namespace, name in data["stored"] or ()]
    print_result(data, "\n".join(lines), as_json=as_json)


@command.command("purge")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@storage_option
@client_option
@click.option("--ended", is_flag=True, help="All users whose sign-in has ended.")
@click.option("--refused", is_flag=True, help="All users whose refresh token Webex has refused.")
@click.option("--revoke", is_flag=True, help="Revoke the tokens at Webex as well; needs WEBEX_CLIENT_SECRET.")
@json_option
@yes_option
def purge(
    keys: tuple[str, ...],
    address: str | None,
    client_id: str | None,
    ended: bool,
    refused: bool,
    revoke: bool,
    as_json: bool,
    yes: bool,
) -> None:
    """Sign users out: remove their tokens, sessions, devices and content keys from the storage."""
    if not keys and not ended and not refused:
        raise click.UsageError("Name the users: keys, --ended or --refused.")
    now = time.time()
    with _app(address, client_id) as integration:
        app = app_of(integration)
        if revoke:
            app.config.require("client_secret")
        chosen = dict.fromkeys(checked_key(key) for key in keys)
        if ended or refused:
            for key, record in drive_iter(matching(app.store, UserFilter())):
                end = ends_at(record)
                if (ended and end is not None and end <= now) or (refused and record.refused is not None):
                    chosen[key] = None
        removed: list[str] = []
        unknown: list[str] = []
        if chosen:
            confirmed(f"{len(chosen)} users are signed out, and what is stored of them is removed. Go on?", yes=yes)
        with progress("Removing", len(chosen), quiet=as_json) as reach:
            for number, key in enumerate(chosen, 1):
                done = drive(app.signing_out.sign_out(key, revoke=revoke))
                (removed if done else unknown).append(key)
                reach(number)
    text = f"{len(removed)} users were signed out."
    if unknown:
        text += f" Nothing was stored for {', '.join(unknown)}."
    print_result({"removed": removed, "unknown": unknown}, text, as_json=as_json)


@command.command("rotate-keys")
@storage_option
@json_option
def rotate_keys(address: str | None, as_json: bool) -> None:
    """Encrypt every value with the first key of WEBEX_STORAGE_KEYS that another key of the list has encrypted.

    Before this give every worker the new key, first at the end of its list, and when all have it at the front; drop the
    old ones after it. Safe while the app runs, and to call again.
    """
    keys = encryption_keys()
    with opened(address) as access:
        total = sum(counted(access, quiet=True).values())
        storage: Any = access.storage
        with progress("Encrypting", total, quiet=as_json) as reach:
            count: int = storage.reencrypt(progress=lambda so_far: reach(so_far.seen))
    data = {"encrypted": count, "values": total, "keys": len(keys)}
    print_result(data, f"{count} of {total} values were encrypted anew.", as_json=as_json)


def described(key: str, record: Record, now: float) -> dict[str, Any]:
    """Return what may be shown of a user's record: no token, and nothing that one could be guessed from."""
    tokens = record.tokens
    refused = record.refused
    state = tokens.state(now)
    if refused is not None:
        state_text = f"refused ({refused.reason})"
    else:
        state_text = state if tokens.refresh_token else f"{state}, no refresh token"
    return {
        "key": key,
        "state": state_text,
        "issued": _moment(tokens.issued_at),
        "expires": _moment(tokens.expires_at),
        "ends": _moment(ends_at(record)),
        "scopes": record.scopes,
        "name": record.person.get("display_name"),
        "email": record.person.get("email"),
    }


def _nobody(access: StorageAccess, client_id: str, *, filtered: bool) -> str:
    """Say that there is no user, and whose users are there instead, as with the wrong client id."""
    text = f"No users of the app {client_id!r}{' that fit' if filtered else ''}."
    if filtered or not access.capabilities.scan:
        return text
    apps = {split_path(key)[0] for key in itertools.islice(drive_iter(access.keys(NAMESPACE)), 1000)} - {client_id}
    return f"{text} The storage has users of {', '.join(map(repr, sorted(apps)[:5]))}." if apps else text


def _lists(integration: Integration) -> bool:
    return app_of(integration).access.capabilities.scan


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _text(value: object) -> str:
    return one_line(" ".join(value) if isinstance(value, list) else "-" if value is None else str(value))
