"""`webex emulator`: a local Webex cloud in a terminal, in the background, or around one command."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webex.runtime.signals import STOP, handled

if TYPE_CHECKING:
    from webex.emulator import Cloud

_COMMAND: Final = "webex.command"  # in the context: what stands behind `--`
_RAW: Final = "webex.arguments"


class EmulatorGroup(click.Group):
    """A group that serves when no subcommand is named, and takes a command behind `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            args, command = args[:at], args[at + 1 :]
            if not command:
                raise click.UsageError("Nothing stands behind --: webex emulator -- python app.py", ctx)
            ctx.meta[_COMMAND] = command
        ctx.meta[_RAW] = list(args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            ctx.fail(
                f"There is no subcommand {args[0]!r}; there is {', '.join(sorted(self.commands))}. "
                f"To run a command: webex emulator -- {' '.join(args)}"
            )
        return super().resolve_command(ctx, args)


@click.group(
    "emulator", cls=EmulatorGroup, invoke_without_command=True, subcommand_metavar="[console | env | stop | -- COMMAND]"
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8800, show_default=True, help="0 takes a free one, as does --."
)
@click.option("--env", "exports", is_flag=True, help="Print shell exports.")
@click.option("--background", is_flag=True, help="Return when it serves; `webex emulator stop` ends it.")
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
@click.option("--announce", is_flag=True, hidden=True, help="Print where it is as JSON, then close the output.")
@click.pass_context
def command(ctx: click.Context, /, *, exports: bool, background: bool, announce: bool, **options: Any) -> None:
    """Serve a local Webex cloud until it is interrupted.

    People, a bot and an integration are there from the start, with fixed tokens.

    \b
      webex emulator                                   serve in this terminal
      eval "$(webex emulator --background --env)"      serve in the background, and set its variables here
      eval "$(webex emulator env)"                     set the variables of one that runs in another shell
      webex emulator console                           print the address of its console, for one browser
      webex emulator stop                              end it
      webex emulator -- python app.py                  run a command with the variables set, and end with it
    """
    if ctx.invoked_subcommand is not None:
        return
    run: list[str] | None = ctx.meta.get(_COMMAND)
    if run and (background or exports):
        raise click.UsageError("--background and --env can't be combined with a command behind --.")
    if run and ctx.get_parameter_source("port") is click.core.ParameterSource.DEFAULT:
        options["port"] = 0
    if background:
        from webex.cli.emulator_processes import start_in_background

        cloud = start_in_background([each for each in ctx.meta[_RAW] if each not in ("--background", "--env")])
        text = _exports(cloud["env"]) if exports else _background_greeting(cloud)
        _write(text)
        return
    _serve(run, exports=exports, announce=announce, **options)


@command.command("stop")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: that of WEBEX_EMULATOR_URL, else 8800.")
@click.option("--url", help="Where it is, in place of --port.")
def stop(*, port: int | None, url: str | None) -> None:
    """End an emulator that `webex emulator` started, once it has said that it is one."""
    from webex.cli.emulator_processes import stop_emulator

    click.echo(stop_emulator(_address(port, url)))


@command.command("console")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: that of WEBEX_EMULATOR_URL, else 8800.")
@click.option("--url", help="Where it is, in place of --port.")
def console(*, port: int | None, url: str | None) -> None:
    """Print an address that opens the emulator's console in one browser."""
    from webex.cli.emulator_processes import console_url

    click.echo(console_url(_address(port, url)))


@command.command("env")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: that of WEBEX_EMULATOR_URL, else 8800.")
@click.option("--url", help="Where it is, in place of --port.")
def env(*, port: int | None, url: str | None) -> None:
    """Print the variables of an emulator that runs, as shell exports."""
    from webex.cli.emulator_processes import variables

    _write(_exports(variables(_address(port, url))))


def _address(port: int | None, url: str | None) -> str | None:
    """Where the emulator is, as the options of a subcommand or of the group say; `None`: they don't."""
    parent = click.get_current_context().parent
    if port is None and parent is not None and parent.get_parameter_source("port") is not None:
        given = parent.get_parameter_source("port") is click.core.ParameterSource.COMMANDLINE
        port = parent.params["port"] if given else None
    if port is not None and url is not None:
        raise click.UsageError("Give --port or --url.")
    return f"http://127.0.0.1:{port}" if port is not None else url


def _serve(
    run: list[str] | None,
    *,
    exports: bool,
    announce: bool,
    port: int,
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
    from webex.emulator import Emulator, PortInUseError
    from webex.errors import MissingExtraError

    settings: dict[str, object] = {"rotation": rotation}
    if access_token_lifetime is not None:
        settings["access_token_lifetime"] = access_token_lifetime
    ended = threading.Event()
    with handled(lambda *_: ended.set(), STOP if run is None else ()):
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
            raise click.ClickException(
                f"{error.strerror} If an emulator is there: webex emulator env prints its variables, webex emulator "
                "stop ends it."
            ) from None
        except (ValueError, OSError, MissingExtraError) as error:
            raise click.ClickException(str(error)) from None
        try:
            if run is not None:
                from webex.cli.emulator_processes import run_command

                code = run_command(run, cloud)
            else:
                code = 0
                cloud.on_stop = ended.set
                _tell(cloud, exports=exports, announce=announce)
                ended.wait()
        finally:
            emulator.stop()
    if code:
        sys.exit(code)


def _tell(cloud: Cloud, *, exports: bool, announce: bool) -> None:
    if announce:
        said = {"url": cloud.url, "tls_url": cloud.tls_url, "env": dict(cloud.env), "pid": os.getpid()}
        said["console_url"] = cloud.console_url
        _write(json.dumps(said) + "\n")
        _let_go(every=True)
    elif exports:
        _write(_exports(cloud.env))
        if _is_pipe(1):
            sys.stderr.write(
                f"A Webex cloud is at {cloud.url}; `webex emulator stop --url {cloud.url}` ends it.\n"
                'If the shell waits, press Ctrl+C and use: eval "$(webex emulator --background --env)"\n'
            )
            sys.stderr.flush()
            # The reader of the pipe waits for its end: `eval "$(webex emulator --env &)"`.
            _let_go(every=False)
    else:
        ca_file = str(cloud.ca_file) if cloud.ca_file else None
        _write(_greeting(cloud.url, cloud.tls_url, ca_file, cloud.console_url))


def _exports(variables: dict[str, str]) -> str:
    from webex.emulator.environment import shell_exports

    return shell_exports(variables, os.environ)


def _greeting(url: str, tls_url: str | None, ca_file: str | None, console_url: str) -> str:
    lines = [
        f"A Webex cloud is at {url}",
        *([f"and at {tls_url}; trust {ca_file}"] if tls_url else []),
        "",
        f"  export WEBEX_EMULATOR_URL={tls_url or url}",
        "",
        f"Its console, for one browser: {console_url}",
        "People: alice@, bob@, admin@ and compliance@example.com; a bot and an integration are registered.",
        f'In another shell, eval "$(webex emulator env{_which(url)})" sets their tokens. Press Ctrl+C to stop.',
    ]
    return "\n".join(lines) + "\n"


def _background_greeting(cloud: dict[str, Any]) -> str:
    return (
        f"A Webex cloud is at {cloud['tls_url'] or cloud['url']} (process {cloud['pid']}); "
        f"`webex emulator stop --url {cloud['url']}` ends it.\n"
        f"Its console, for one browser: {cloud['console_url']}\n"
        f'Its variables: eval "$(webex emulator env{_which(cloud["url"])})"\n'
    )


def _which(url: str) -> str:
    """Return the option that names this emulator, where it is not the one that is found without."""
    return "" if url == "http://127.0.0.1:8800" else f" --url {url}"


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # A reader of the first lines may close the pipe: that is no reason to stop serving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _let_go(*, every: bool) -> None:
    """Point standard output and error elsewhere where a reader waits for their end."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        if every or _is_pipe(descriptor):
            os.dup2(null, descriptor)
    os.close(null)
