"""How every command of Splitbed begins and ends: with a message and an exit code, no traceback."""

import gc
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from typer._click.exceptions import NoSuchOption, UsageError
from typer.core import TyperCommand, TyperGroup

from splitbed.ending import outlive_readers, take_signals
from splitbed.errors import INTERRUPTED, MachineError, SplitbedError, shorten

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

F = TypeVar("F", bound=Callable[..., object])
_OBJECTS = 20_000
"""Made before Python looks for garbage among them; by itself after 700, most of which stay."""
_MOST_WORDS = 10_000  # what was refused may be long, and is told in short


def run_command_line(app: Callable[[], object], *, service: bool = False) -> None:
    """Run a command line; exit 2 for usage, 3 for the machine, 1 for a run that failed.

    Signals that end it, and output that nobody reads, unwind as Ctrl-C does, so that everything
    made is unmade; a `service` goes on when nobody reads its log.
    """
    if not service:
        gc.set_threshold(_OBJECTS)
    take_signals(_interrupt)
    outlive_readers(end=not service)
    # Debian leaves the folders of ip and tc out of an ordinary user's path
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SplitbedError as error:
        sys.stderr.write(f"error: {printable(shorten(str(error), _MOST_WORDS))}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        told = printable(str(error)) + _temporary_files(error)
        sys.stderr.write(f"error: {told}: make room, or give a place that can be written\n")
        sys.exit(1)
    except MemoryError:
        sys.stderr.write("error: memory ended: give less at once, or a machine that has more\n")
        sys.exit(MachineError.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


def _temporary_files(error: OSError) -> str:
    """Where they are, for an error that does not say where it was, as that of a write."""
    from tempfile import gettempdir

    with suppress(OSError):  # nothing at all can be written
        return "" if error.filename else f" (temporary files are in {gettempdir()})"
    return ""


def printable(text: str) -> str:
    """A text that came from a file, so that no character of it commands the terminal."""
    if text.isprintable():  # as nearly every one is, of thousands in a table
        return text
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def say(words: str, *, stderr: bool = False) -> None:
    """Print words, in which names may stand that came from a file, on lines of their own."""
    (sys.stderr if stderr else sys.stdout).write(f"{printable(words)}\n")


class Commands(typer.Typer):
    """Some commands of a program, whose help tells options in their groups."""

    def __init__(self, about: str | None = None) -> None:
        super().__init__(
            cls=_Group,
            help=about,
            no_args_is_help=True,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,  # importing Rich's would double the time that --help takes
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    def command(  # type: ignore[override]  # of Typer's keywords, those that are used
        self, name: str | None = None, *, context_settings: Mapping[str, object] | None = None
    ) -> Callable[[F], F]:
        """Add a command."""
        return super().command(name, cls=_Command, context_settings=dict(context_settings or {}))


def program(about: str) -> Commands:
    """All commands of a program: with --version, -h, and completion for shells."""
    app = Commands(about)
    app._add_completion = True

    @app.callback()
    def _(
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                callback=_tell_version,
                is_eager=True,
                help="Print the version.",
            ),
        ] = False,
    ) -> None:
        pass

    return app


def _tell_version(asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        told = version("splitbed")
    except PackageNotFoundError:
        told = "of a folder that was not installed"
    started = Path(sys.argv[0])
    name = started.parent.name if started.stem == "__main__" else started.name
    sys.stdout.write(f"{name} (Splitbed) {told}\n")
    raise typer.Exit


class _Command(TyperCommand):
    """Its help tells options under the headings that they have, those without any last.

    What it refuses it refuses with a hint.
    """

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except NoSuchOption as error:
            like = error.possibilities or ()
            error.possibilities = get_close_matches(error.option_name, like, n=1, cutoff=0.7)
            raise
        except UsageError as error:
            takes = {one.name for one in self.params}
            if "unexpected extra argument" in error.message and "model" in takes:
                error.message += ": a model is given as --model NAME or --model FILE"
            raise

    def collect_usage_pieces(self, ctx: "Context") -> list[str]:
        pieces = super().collect_usage_pieces(ctx)
        return [piece.replace("{", "").replace("}", "").upper() for piece in pieces]

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            usual = "Arguments" if param.param_type_name == "argument" else "Options"
            heading = getattr(param, "rich_help_panel", None) or usual
            if record := param.get_help_record(ctx):
                name, words = record
                if usual == "Arguments":
                    name = name.partition(" ")[0].upper()
                else:  # given again, an option of a list takes one more of them
                    name = name.replace("<list[", "<").replace("]>", ">")
                sections.setdefault(heading, []).append((name, words))
        last = {"Options": sections.pop("Options")}
        for heading, records in (sections | last).items():
            with formatter.section(heading):
                formatter.write_dl(records)


class _Group(TyperGroup):
    """Its help tells what each command does in full, not its first words alone."""

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, (one.help or "").partition("\n\n")[0]) for name, one in commands]
            )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
