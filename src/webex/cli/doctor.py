"""`webex doctor`: examine an app's settings, storage, network, tokens and webhooks, and say what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import click

from webex.cli.addresses import opened, storage_option
from webex.cli.doctor_cloud import USES, Wanted, examine_cloud
from webex.cli.doctor_local import examine_configuration, examine_storage, examine_versions
from webex.cli.findings import Report
from webex.cli.output import json_option, print_result
from webex.config import Config
from webex.errors import WebexError

__all__ = ["command"]


def _uses(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    names = [name for name in (value or "").replace(",", " ").split() if name]
    for name in names:
        if name not in USES:
            raise click.BadParameter(f"{name!r} is none of {', '.join(USES)}")
    return names


@click.command("doctor")
@storage_option
@click.option("--user", metavar="KEY", help="A stored user whose token is examined; needs --storage.")
@click.option("--uses", metavar="LIST", callback=_uses, help=f"What the app uses: {', '.join(USES)}.")
@click.option("--webhook-url", metavar="URL", help="Where the webhooks should point; others are strays.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Seconds.")
@click.option("--offline", is_flag=True, help="Ask the cloud nothing.")
@json_option
def command(
    address: str | None,
    user: str | None,
    uses: Sequence[str],
    webhook_url: str | None,
    timeout: float,
    offline: bool,
    as_json: bool,
) -> None:
    """Examine settings, storage, network, token, scopes and webhooks, and say what to do about each problem.

    \b
      webex doctor
      webex doctor --storage redis://localhost/0 --user KEY --uses realtime,webhooks
      webex doctor --json

    Settings come from the environment (WEBEX_*), as for the app. Ends with status 0 when no problem was found, else
    with 1. Nothing is changed: only --uses realtime registers a device, and removes it. No secret is printed.
    """
    if user is not None and not address:
        raise click.UsageError("--user needs the storage: --storage ADDRESS, or WEBEX_STORAGE.")
    report = Report()
    examine_versions(report)
    config = examine_configuration(report, os.environ)
    examine_storage(report, address)
    stored = user is not None and not any(each.check == "storage" for each in report.problems)
    if offline:
        report.note("services", "The cloud was not asked (--offline).")
        if user is not None:
            report.note(
                "token", "The user's token was not examined (--offline).", "What is known of it: webex tokens show KEY"
            )
    elif config is not None:
        wanted = Wanted(user if stored else None, uses, webhook_url, timeout)
        try:
            _examine(report, config, wanted, address)
        except (WebexError, ImportError) as error:
            report.problem("services", f"The examination ended early: {error}", "See the message, and run it again.")
    print_result(report.as_json(), report.as_text(), as_json=as_json)
    if report.problems:
        raise SystemExit(1)


def _examine(report: Report, config: Config, wanted: Wanted, address: str | None) -> None:
    from webex.app import App

    async def run(storage: object) -> None:
        app = App(config, "async", storage=storage)
        try:
            await examine_cloud(report, app, wanted)
        finally:
            await app.aclose()

    if wanted.user is None:
        asyncio.run(run(None))
        return
    with opened(address) as access:
        asyncio.run(run(access.storage))
