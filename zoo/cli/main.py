"""The ``zoo`` command: finds the subcommand, and turns failures into one line and an exit code."""

from __future__ import annotations

import _thread
import contextlib
import importlib
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn, TextIO

import click

from zoo import __version__
from zoo.cli import failures, plugin_commands, streams
from zoo.deprecation import ZooDeprecationWarning
from zoo.entry_points import PLUGINS_VARIABLE, REGISTRY_VARIABLE
from zoo.errors import UsageError, ZooWarning

# With their summaries, so that help imports none of them.
COMMANDS = {
    "list": "List tasks, models and recipes, or another kind of record.",
    "show": "Show a recipe, TASK/MODEL or any other name, with its options.",
    "train": "Train on data, or a recipe, or TASK/MODEL.",
    "evaluate": "Evaluate trained weights on a split of some data.",
    "export": "Write the weights of a run as one self-describing file.",
    "predict": "Predict texts with trained weights.",
    "generate": "Generate text with trained weights.",
    "embed": "Write a vector for each text into a NumPy file.",
    "inspect": "Show the header of a weights file; no tensor is loaded.",
    "verify": "Verify weights: their digests, probe and published score.",
    "new": "Write a package for a model, a task or a plugin.",
    "check": "Check what is promised of a model, a task or a plugin.",
    "plugins": "List plugins: their packages, what they provide, errors.",
    "env": "Print versions, backend, threads, processor, caches and plugins.",
}
SPIN_COUNT = "1000"
"""How often a waiting thread looks again before it sleeps: some microseconds."""


class LazyGroup(click.Group):
    """Imports a command when it is used; those of plugins are known by name and summary."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *_of_plugins()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command = importlib.import_module(f"zoo.cli.{cmd_name}").command
        else:
            command = plugin_commands.load(cmd_name)
        assert command is None or isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [*COMMANDS.items(), *_of_plugins().items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from zoo.errors import did_you_mean

        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(f"no command {name!r}{did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _of_plugins() -> dict[str, str]:
    """Return the summaries of the commands of plugins; those of zoo cannot be replaced."""
    found = sorted(plugin_commands.summaries().items())
    return {name: summary for name, summary in found if name not in COMMANDS}


def _set_environment(ctx: click.Context, param: click.Parameter, value: str | bool | None) -> None:
    """Apply an option before a command is looked up, which may need the plugins."""
    del ctx
    if value and param.name == "registry":
        os.environ[REGISTRY_VARIABLE] = str(value)
    if value and param.name == "no_plugins":
        os.environ[PLUGINS_VARIABLE] = ""


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  zoo list '*lstm*'
  zoo train --data reviews.csv
  zoo predict imdb-bilstm "A film to remember."
""",
)
@click.version_option(__version__, "-V", "--version", prog_name="zoo")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.option(
    "--registry",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_set_environment,
    help=f"Another registry.toml; also {REGISTRY_VARIABLE}.",
)
@click.option(
    "--no-plugins",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_environment,
    help=f"Load no plugin; also {PLUGINS_VARIABLE}= (or the names of some).",
)
def cli(debug: bool) -> None:
    """Recurrent sequence models: train, evaluate, export, predict and generate."""
    del debug  # Read by main(), which also handles failures before this is called.


def main() -> NoReturn:
    """Run the command line and exit with the failure's own code."""
    streams.prepare()
    _bound_spinning()
    signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _unraisable
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", ZooWarning)
    warnings.simplefilter("once", ZooDeprecationWarning)
    stdout = sys.stdout
    try:
        _refuse_other_encodings(sys.argv[1:])
        code = cli.main(prog_name="zoo", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except SystemExit as error:
        # Click changes sys.stdout where it notices that nobody reads it.
        if sys.stdout is not stdout:
            _end_unread()
        if isinstance(error.code, str):  # Python would print it.
            _fail(error.code, 1)
        raise
    except BrokenPipeError:
        _end_unread()
    except BaseException as error:  # noqa: BLE001 - the one place for every failure
        if "--debug" in sys.argv[1:]:
            failures.print_traceback(error)
        if isinstance(error, OSError):
            streams.discard_output()  # It may be the output that failed.
        _fail(*failures.describe(error))
    sys.exit(code if isinstance(code, int) else 0)


def _end_unread() -> NoReturn:
    """End as other tools do whose reader is gone, such as `head`: at once, and without a word."""
    streams.discard_output()
    sys.exit(failures.LOST_READER)


def _bound_spinning() -> None:
    """Let threads that wait for others give the processor away soon.

    Those of OpenMP spin for milliseconds: where another process keeps a processor busy, for which
    they wait, a training is twenty times slower. The variable is read when torch is imported.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT


def _refuse_other_encodings(arguments: Sequence[str]) -> None:
    """Refuse arguments that no file of zoo could hold: they are written into configurations."""
    for argument in arguments:
        if re.search("[\ud800-\udfff]", argument):
            raise UsageError("an argument is not UTF-8", why=repr(argument))


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Send Ctrl-C again where it came while Python could not pass it on, as in a destructor."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        again = threading.Timer(0.05, _thread.interrupt_main)
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of zoo as one line; those of libraries are for developers."""
    del filename, lineno, file, line
    if issubclass(category, ZooWarning):
        click.echo(f"warning: {failures.one_line(str(message))}", err=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Halfway through their import, libraries take KeyboardInterrupt for something else."""
    for name in ("numpy", "torch"):
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            with contextlib.suppress(OSError):
                os.write(2, b"error: interrupted\n")
            os._exit(failures.INTERRUPTED)
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {failures.one_line(message)}", err=True)
    sys.exit(code)
