"""`webex emulator`: a local Webex cloud in a terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import click


@click.command("emulator")
@click.option("--port", type=click.IntRange(0, 65535), default=8800, show_default=True, help="0 takes a free one.")
@click.option("--env", "exports", is_flag=True, help="Print shell exports for eval, then go on serving.")
@click.option("--data", type=click.Path(dir_okay=False, path_type=Path), help="Keep everything in this file.")
@click.option("--seed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON file to start from.")
@click.option("--tls", is_flag=True, help="Serve https as well, with a certificate authority of its own.")
@click.option("--tls-port", type=click.IntRange(0, 65535), default=0, help="Port for https; 0 takes a free one.")
@click.option("--tls-dir", type=click.Path(file_okay=False, path_type=Path), help="Keep the authority's files here.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--host", "hosts", multiple=True, help="A further Host name to answer to; repeatable.")
@click.option("--rotation", type=click.Choice(["off", "grace", "strict"]), default="off", show_default=True)
@click.option("--access-token-lifetime", type=float, metavar="SECONDS", help="Default: 14 days.")
@click.option("--random-seed", type=int, help="Make ids and tokens repeatable.")
def command(
    *,
    port: int,
    exports: bool,
    data: Path | None,
    seed: Path | None,
    tls: bool,
    tls_port: int,
    tls_dir: Path | None,
    bind: str,
    hosts: tuple[str, ...],
    rotation: str,
    access_token_lifetime: float | None,
    random_seed: int | None,
) -> None:
    """Serve a local Webex cloud until it is interrupted.

    People, a bot and an integration are there from the start, with fixed tokens. With --env they are printed as
    shell exports: `webex emulator --env > webex.env &`, then `. ./webex.env`.
    """
    from webex.emulator import Emulator, PortInUseError
    from webex.emulator.environment import shell_exports

    settings: dict[str, object] = {"rotation": rotation}
    if access_token_lifetime is not None:
        settings["access_token_lifetime"] = access_token_lifetime
    ended = threading.Event()
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: ended.set())
    try:
        emulator = Emulator(
            port=port,
            host=bind,
            hosts=hosts,
            tls=tls,
            tls_port=tls_port,
            tls_directory=tls_dir,
            seed=seed,
            random_seed=random_seed,
            data=data,
            **settings,
        )
        cloud = emulator.start()
    except PortInUseError as error:
        raise click.ClickException(str(error.strerror)) from None
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    try:
        if exports:
            _write(shell_exports(cloud.env))
        else:
            _write(_greeting(cloud.url, cloud.tls_url, str(cloud.ca_file) if cloud.ca_file else None))
        ended.wait()
    finally:
        emulator.stop()


def _greeting(url: str, tls_url: str | None, ca_file: str | None) -> str:
    lines = [
        f"A Webex cloud is at {url}",
        *([f"and at {tls_url}; trust {ca_file}"] if tls_url else []),
        "",
        f"  export WEBEX_EMULATOR_URL={tls_url or url}",
        "",
        "People: alice@, bob@, admin@ and compliance@example.com; a bot and an integration are registered.",
        "`webex emulator --env` prints their tokens as shell exports. Press Ctrl+C to stop.",
    ]
    return "\n".join(lines) + "\n"


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads the first lines may close the pipe: that is no reason to stop serving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
