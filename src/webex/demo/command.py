"""`webex demo`: the emulator and the app in one command."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("demo")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port of the app.")
@click.option("--emulator-port", type=click.IntRange(0, 65535), default=0, help="Default: a free one.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep everything in this folder.")
@click.option("--headless", is_flag=True, help="Play the whole story without a browser, then end.")
def command(*, port: int, emulator_port: int, data: Path | None, headless: bool) -> None:
    """Try the SDK: a local Webex cloud, and a small web app that signs people in to it.

    Open what it prints in a browser. With --headless it plays the story by itself over real HTTP: two people sign in
    and act, the app is killed and started again, tokens run out, consent is taken back, everybody signs out.
    """
    from webex.extras import require

    try:
        require("webex demo", "fastapi", "uvicorn", "jinja2", "python_multipart", extra="demo")
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    if headless:
        from webex.demo.story import play

        sys.exit(0 if play() else 1)
    from webex.demo.interactive import run

    run(port, emulator_port, data)
