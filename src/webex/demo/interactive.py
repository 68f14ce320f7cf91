"""The demo for a person with a browser."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from webex.emulator import Cloud


def run(port: int, emulator_port: int, data: Path | None) -> None:
    """Serve emulator and app until Ctrl-C; both keep what they know in `data`, or forget it at the end."""
    from webex.emulator import Emulator, PortInUseError
    from webex.emulator.environment import applied

    port = _port_to_use(port)
    with _folder(data) as folder:
        cloud_file = folder / "cloud.json"
        is_new = not cloud_file.exists()
        try:
            emulator = Emulator(port=emulator_port, data=cloud_file)
            cloud = emulator.start()
        except PortInUseError as error:
            raise click.ClickException(str(error)) from None
        try:
            furnish(cloud) if is_new else None
            from webex.demo.serving import serve

            with applied(cloud.env | {"WEBEX_REDIRECT_URI": f"http://127.0.0.1:{port}/auth/callback"}):
                serve(port, str(folder / "app.db"), lambda: _tell(port, cloud, data))
        finally:
            emulator.stop()
    click.echo("\nGood-bye." if data is None else f"\nGood-bye. Everything is kept in {data}.")


def furnish(cloud: Cloud) -> None:
    """Two rooms with a few messages, so that there is something to see; made through the API itself."""
    from webex import Webex
    from webex.emulator import accounts

    with (
        Webex(accounts.ALICE_TOKEN, emulator_url=cloud.url) as alice,
        Webex(accounts.BOB_TOKEN, emulator_url=cloud.url) as bob,
    ):
        lunch = alice.rooms.create(title="Lunch on Friday")
        alice.memberships.create(room_id=lunch.id or "", person_email="bob@example.com")
        bob.messages.create(room_id=lunch.id, text="The new noodle place, at noon?")
        launch = alice.rooms.create(title="Project Launch")
        alice.memberships.create(room_id=launch.id or "", person_email="bob@example.com")
        alice.memberships.create(room_id=launch.id or "", person_email="admin@example.com")
        alice.messages.create(room_id=launch.id, text="Good morning! The countdown begins: everything is green.")
        bob.messages.create(room_id=launch.id, text="Docs are ready. I'll send the checklist in a minute.")
        bob.messages.create(room_id=launch.id, files=("checklist.md", b"- [x] docs\n- [x] tests\n- [ ] cake\n"))


def _tell(port: int, cloud: Cloud, data: Path | None) -> None:
    bold = click.style
    click.echo()
    click.echo(f"  Open  {bold(f'http://127.0.0.1:{port}/', fg='cyan', bold=True)}  and sign in as Alice, Bob or Ada.")
    click.echo()
    click.echo("  The page you are sent to is a Webex cloud on this machine: pick a person, say yes, and you are back.")
    click.echo("  A second browser, or a private window, is a second user. Invite one, and write to each other.")
    click.echo()
    kept = f"in {data}" if data is not None else "nowhere: it is gone when this ends (--data FOLDER keeps it)"
    click.echo(click.style(f"  cloud   {cloud.url}\n  kept    {kept}\n  stop    Ctrl-C\n", dim=True))


def _port_to_use(port: int) -> int:
    from webex.emulator import PortInUseError
    from webex.emulator.server import listen

    try:
        probe = listen("127.0.0.1", port)
    except PortInUseError:
        raise click.ClickException(
            f"Port {port} is taken, perhaps by another demo. Take another one: scripts/demo --port {port + 1}."
        ) from None
    with contextlib.closing(probe.socket):
        return probe.port


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="webex-demo-") as made:
        yield Path(made)
