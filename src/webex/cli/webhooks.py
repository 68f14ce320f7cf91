"""`webex webhooks`: forward events to an app on this machine; list, keep and try webhooks."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from webex.cli.output import json_lines_option, table
from webex.cli.suggestions import ReportingGroup
from webex.config.values import split_url
from webex.errors.base import one_line

if TYPE_CHECKING:
    from webex.api import Webhook
    from webex.client import Webex

SECRET: Final = "WEBEX_WEBHOOK_SECRET"  # the name of the variable
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@click.group(name="webhooks", cls=ReportingGroup)
def command() -> None:
    """Forward events to an app on this machine; list, keep and try webhooks.

    As the user or bot of WEBEX_ACCESS_TOKEN.
    """


def _target(context: click.Context, parameter: click.Parameter, value: str) -> str:
    parts = split_url(value)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter("give a whole URL, such as http://localhost:8000/hooks/webex")
    if parts.hostname not in _LOOPBACK and not context.params.get("allow_remote"):
        raise click.BadParameter("it is not on this machine; --allow-remote, in front of it, permits that")
    return value


def _events(context: click.Context, parameter: click.Parameter, value: str | None) -> list[tuple[str, str]]:
    from webex.realtime.resources import WEBHOOK_RESOURCES

    if value is None:
        return [(resource, "*") for resource in WEBHOOK_RESOURCES]
    found = []
    for part in value.replace(" ", "").split(","):
        resource, _, event = part.partition(":")
        if resource not in WEBHOOK_RESOURCES:
            raise click.BadParameter(
                f"{resource!r} is not available over the socket; choose from {', '.join(WEBHOOK_RESOURCES)}"
            )
        found.append((resource, event or "*"))
    return found


_REMOTE: Final = click.option("--allow-remote", is_flag=True, is_eager=True, help="Permit a URL of another machine.")
_FORWARD: Final = click.option(
    "--forward-to", "url", required=True, metavar="URL", callback=_target, help="Where the app takes deliveries."
)


@command.command()
@_REMOTE
@_FORWARD
@click.option("--events", metavar="LIST", callback=_events, help="Such as messages:created,memberships. Default: all.")
@click.option("--secret", envvar=SECRET, help=f"What bodies are signed with; else {SECRET}, else a new one.")
@json_lines_option
def listen(url: str, events: list[tuple[str, str]], secret: str | None, as_json: bool, allow_remote: bool) -> None:
    """Receive events over a socket and post them to a URL as signed webhook bodies, until Ctrl-C.

    No public address is needed. While the app is away, as during its restart, events wait; one that it refuses is
    posted four times. A secret that is made here is the first line of the output, with --json as {"secret": …}; one
    that was given is not printed.
    """
    from webex.cli.forward import Forwarder

    chosen = secret or secrets.token_urlsafe(24)
    if not secret:
        click.echo(json.dumps({"secret": chosen}) if as_json else f"{SECRET}={chosen}")

    def report(what: dict[str, Any]) -> None:
        click.echo(json.dumps(what) if as_json else one_line(_line(what)))

    def ready() -> None:
        click.echo(f"Listening; events go to {url}. End with Ctrl-C.", err=True)

    _check_token()

    async def main() -> None:
        from webex.client import AsyncWebex

        async with AsyncWebex() as client:
            await Forwarder(url, chosen, events, report).run(client, ready)

    _run(main())


@command.command("list")
@json_lines_option
def list_webhooks(as_json: bool) -> None:
    """List your webhooks."""
    rows = []
    with _client() as client:
        for webhook in client.webhooks.list():
            if as_json:
                click.echo(json.dumps({name: value for name, value in webhook.to_dict().items() if name != "secret"}))
            else:
                rows.append(_row(webhook))
    if rows:
        click.echo(table(("status", "event", "name", "url", "id"), rows))


@command.command()
@click.argument("wanted", nargs=-1, metavar="[RESOURCE:EVENT[?FILTER]]...")
@click.option("--url", required=True, help="Where Webex posts.")
@click.option("--secret", envvar=SECRET, required=True, help=f"What bodies are signed with; else {SECRET}.")
@click.option("--name", default="webex-python-sdk", show_default=True, help="How the names of these webhooks begin.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def sync(wanted: Sequence[str], url: str, secret: str, name: str, dry_run: bool) -> None:
    """Make your webhooks of this name what is WANTED: messages:created "rooms:created?type=group".

    Creates, corrects, activates again and deletes; with nothing WANTED, deletes all of this name.
    """
    with _client() as client:
        done = client.webhooks.ensure(url, list(wanted), secret=secret, name=name, dry_run=dry_run)
    for change in done.changes:
        click.echo(one_line(f"{'would be ' if dry_run else ''}{change.action}  {change.what}  ({change.why})"))
    if not done:
        click.echo("Nothing to do.")


@command.command()
@click.argument("what", metavar="RESOURCE:EVENT")
@_REMOTE
@_FORWARD
@click.option("--secret", envvar=SECRET, required=True, help=f"What the body is signed with; else {SECRET}.")
@click.option("--data", "pairs", multiple=True, metavar="NAME=VALUE", help="A field of the data, such as id=Y2lz….")
def trigger(what: str, url: str, secret: str, pairs: Sequence[str], allow_remote: bool) -> None:
    """Post one made-up delivery to a URL, signed, and say what the app answered.

    Its ids are new ones, and nothing is found under them at Webex; --data id=… names a real one.
    """
    from webex.cli.forward import envelope
    from webex.ids import to_hydra_id

    resource, _, event = what.partition(":")
    if not resource or not event:
        raise click.UsageError(f"{what!r} is no event, such as messages:created.")
    given: dict[str, str] = {}
    for pair in pairs:
        field, _, value = pair.partition("=")
        given[field] = value
    kinds = {
        "messages": "MESSAGE",
        "rooms": "ROOM",
        "memberships": "MEMBERSHIP",
        "attachmentActions": "ATTACHMENT_ACTION",
    }

    def new(kind: str) -> str:
        return to_hydra_id(kind, str(uuid.uuid4()))

    person = new("PEOPLE")
    data = {"id": new(kinds.get(resource, "EVENT")), "roomId": new("ROOM"), "roomType": "group", "personId": person}
    body = envelope(
        {
            "resource": resource,
            "event": event,
            "createdBy": new("PEOPLE"),
            "orgId": new("ORGANIZATION"),
            "ownedBy": "creator",
            "status": "active",
            "actorId": person,
            "data": {**data, **given},
        },
        url,
        new("WEBHOOK"),
    )

    async def main() -> tuple[int, str | None, float]:
        import aiohttp

        from webex.cli.forward import post

        async with aiohttp.ClientSession(trust_env=False) as http:
            return await post(http, url, body, secret)

    status, why, seconds = asyncio.run(main())
    click.echo(one_line(_line({"event": what, "status": status, "error": why, "milliseconds": round(seconds * 1000)})))
    if not 200 <= status < 300:
        sys.exit(1)


def _line(what: dict[str, Any]) -> str:
    if what.get("given_up"):
        return f"--> {what['event']}  given up"
    answer = f"[{what['status']}]" if what["status"] else f"no answer ({what['error']})"
    return f"--> {what['event']}  {what.get('key', '')}  <-- {answer} {what['milliseconds']} ms"


def _row(webhook: Webhook) -> list[str]:
    what = f"{webhook.resource}:{webhook.event}" + (f"?{webhook.filter}" if webhook.filter else "")
    return [webhook.status or "", what, webhook.name or "", webhook.target_url or "", webhook.id]


def _client() -> Webex:
    from webex.client import Webex

    _check_token()
    return Webex()


def _check_token() -> None:
    if not os.environ.get("WEBEX_ACCESS_TOKEN"):
        raise click.ClickException("Set WEBEX_ACCESS_TOKEN to the token of the user or bot.")


def _run(work: Any) -> None:
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        click.echo("Ended.", err=True)
