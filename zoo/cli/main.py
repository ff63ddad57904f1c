"""The ``zoo`` command: finds the subcommand, and turns failures into one line and an exit code."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from zoo import __version__
from zoo.catalog import ENVIRONMENT_VARIABLE
from zoo.errors import DiskError, ZooError

COMMANDS = (
    "list",
    "show",
    "train",
    "evaluate",
    "export",
    "predict",
    "generate",
    "inspect",
    "verify",
    "diagnose",
    "plugins",
)
OUT_OF_MEMORY, INTERRUPTED = 9, 130


class LazyGroup(click.Group):
    """Imports ``zoo.cli.NAME`` when the command NAME is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"zoo.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from zoo.registry import suggestion

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}{suggestion(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  zoo list '*lstm*'
  zoo train sentiment/gru --epochs 3
  zoo predict imdb-bilstm "A film to remember."
""",
)
@click.version_option(__version__, "-V", "--version", prog_name="zoo")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.option(
    "--registry",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help=f"Another registry.toml; also {ENVIRONMENT_VARIABLE}.",
)
def cli(debug: bool, registry: str | None) -> None:
    """Recurrent sequence models: train, evaluate, export, predict and generate."""
    del debug  # Looked for by main(), which also serves failures before this runs.
    if registry:
        os.environ[ENVIRONMENT_VARIABLE] = registry


def main() -> NoReturn:
    """Run the command line and exit with the failure's own code."""
    _open_streams()
    signal.signal(signal.SIGINT, _interrupt)
    stdout = sys.stdout
    try:
        code = cli.main(prog_name="zoo", standalone_mode=False)
        sys.stdout.flush()
    except ZooError as error:
        if "--debug" in sys.argv[1:]:
            traceback.print_exc()
        _fail(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context else ""
        _fail(error.format_message().rstrip(".") + hint, error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        _drop_output()
        sys.exit(0)
    except OSError as error:
        _drop_output()
        _fail(f"input or output failed: {error}", DiskError.exit_code)
    except RuntimeError as error:
        # torch has no class of its own for this.
        if "can't allocate memory" not in str(error) and "out of memory" not in str(error):
            raise
        _fail("not enough memory; make the network or the batches smaller", OUT_OF_MEMORY)
    except SystemExit:
        # Where Click notices it first, it changes sys.stdout, and calls it a failure.
        if sys.stdout is not stdout:
            sys.exit(0)
        raise
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Halfway through their import, libraries take KeyboardInterrupt for something else."""
    for name in ("numpy", "torch"):
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            os.write(2, b"error: interrupted\n")
            os._exit(INTERRUPTED)
    raise KeyboardInterrupt


def _open_streams() -> None:
    """Make output possible where a stream was closed or cannot say every character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Send what is still unwritten nowhere: Python would complain again on closing stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
