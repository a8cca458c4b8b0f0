"""How every command behaves: help, version, completion, widths, names from elsewhere."""

import errno
import inspect
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import splitbed
from netem.spec import symmetric
from orchestrator.api.options.words import SweepWords
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.cli.watch.heartbeat import Heartbeat, alive
from orchestrator.cli.watch.progress import SweepProgress
from orchestrator.reports.terminal import Plain, show, show_lines
from orchestrator.results.judgement.verdict import SweepOutcome, Verdict
from splitbed.command import printable, say
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.made_runs import made_run
from tests.shared_machine import until

PROGRAMS = ("orchestrate", "splitbed", "netem", "ue-node", "edge-node")
COMMANDS = [
    *("sweep", "profile", "verify", "infer", "rd", "scenario show", "scenario run", "report"),
    *("compare", "crosscheck", "pack", "replay", "plan", "trace", "doctor", "models", "splits"),
    *("features", "links", "codecs", "datasets", "clean", "up", "down", "dashboard", "cut"),
    *("score", "draw", "call"),
]
UGLY = "[bold]a[/]\x1b[31mb\x07"
PRETTY = r"[bold]a[/]\x1b[31mb\x07"


def run(program: str, *words: str, **environment: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), *words],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_says_its_version_and_completes_itself(program: str) -> None:
    assert run(program, "--version").startswith(f"{program} (Splitbed) ")
    assert "--install-completion" in run(program, "-h")
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    typed = {"COMP_WORDS": f"{program} --ver", "COMP_CWORD": "1"}
    assert "--version" in run(program, **{variable: "complete_bash"}, **typed)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_had_with_h_and_fits_in_80_columns(command: str) -> None:
    done = orchestrate(*command.split(), "-h")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert not re.search(r"list\[|[{}]", done.out)
    assert done.out == orchestrate(*command.split(), "--help").out


def test_help_tells_options_in_their_groups() -> None:
    told = orchestrate("sweep", "--help").out
    headings = [line[:-1] for line in told.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        *("Model", "Input", "Splits", "Flow", "Codecs", "Link", "UE", "Load", "Nodes", "Run"),
        "Options",
    ]  # fmt: skip


def test_a_program_can_ask_what_the_command_line_and_a_file_can() -> None:
    declared = {*get_type_hints(SweepWords)} | {"model"}
    assert declared == {*SweepConfig.model_fields}
    told = orchestrate("sweep", "--help").out
    assert all(f"--{name.replace('_', '-')}" in told for name in declared)


@pytest.mark.parametrize("name", ["sweep", "follow", "plan", "profile", "infer"])
def test_a_notebook_completes_and_explains_every_option(name: str) -> None:
    function = getattr(splitbed, name)
    parameters = inspect.signature(function).parameters
    assert {"model", "example_inputs", "weights", "input", "seed"} <= {*parameters}
    assert not any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    assert type(None) in get_args(parameters["weights"].annotation)
    assert "weights          Trained weights, or all as .onnx: a FILE." in function.__doc__


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sweep shapesnet", "(shapesnet): a model is given as --model NAME or --model FILE\n"),
        ("sweep --modle shapesnet", "No such option: --modle (Possible options: --model)\n"),
        ("sweep --nonsense", "No such option: --nonsense\n"),
        ("rd --frames 1", "'--frames': Input should be greater than or equal to 3\n"),
        ("call --frames 1", "'--frames': Input should be greater than or equal to 3\n"),
        ("codecs zstd", "unexpected extra argument(s) (zstd)\n"),
    ],
)
def test_what_is_mistyped_is_refused_with_what_was_meant(words: str, says: str) -> None:
    done = orchestrate(*words.split())
    assert done.code == 2
    assert done.err.endswith(says)


@pytest.mark.parametrize("command", ["models", "links", "codecs", "datasets"])
def test_listings_fit_in_80_columns_and_lose_nothing(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = orchestrate(command).out
    monkeypatch.setenv("COLUMNS", "80")
    told = orchestrate(command).out
    assert max(map(len, told.splitlines())) <= 80
    assert {*wide.split()} - {*told.split()} == set() or "folded" in told


def test_a_wide_table_is_folded_with_its_keys_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = _shown(
        lambda: show_lines([{f"column {n}": f"value {n}" for n in range(12)}], as_json=False)
    )
    assert shown.count("value 0") == 2
    assert all(f"value {n}" in shown for n in range(12))
    assert "folded into 2 parts, to fit in 80 columns" in shown


def test_no_name_is_markup_or_commands_the_terminal(tmp_path: Path) -> None:
    made_run(tmp_path, split_name=UGLY, codec=UGLY, run={"reasons": [UGLY], "verdict": "INVALID"})
    rows, folder = splitbed.open_run(tmp_path).rows, str(tmp_path)
    verdict = Verdict(False, (UGLY,), (UGLY,))
    outcome = SweepOutcome(folder=tmp_path, rows=[*rows], verdict=verdict, stopped=None)
    for shown in (
        orchestrate("compare", folder, folder).out,
        _shown(lambda: show(outcome, as_json=False)),
    ):
        assert not {"\x1b", "\x07"} & {*shown}
    assert PRETTY in shown
    assert PRETTY in _shown(lambda: show_lines([{UGLY: UGLY}], as_json=False))
    assert _shown(lambda: say(UGLY)) == f"{PRETTY}\n"


def test_an_error_that_names_a_file_commands_no_terminal(tmp_path: Path) -> None:
    done = orchestrate("splits", str(tmp_path / UGLY))
    assert done.code == 2
    assert PRETTY in done.err
    assert "\x1b" not in done.err


def test_a_full_disk_is_told_in_a_line_with_where_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*, as_json: bool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("orchestrator.cli.show.catalogues.models", full)
    done = orchestrate("models")
    assert done.code == 1
    assert done.err == (
        f"error: [Errno 28] No space left on device (temporary files are in {tmp_path}): "
        "make room, or give a place that can be written\n"
    )


def test_ordinary_text_stays_as_it_is() -> None:
    assert printable("Größe 3 × µs\n\tfür alle") == "Größe 3 × µs\n\tfür alle"


def test_who_sees_no_bar_is_told_what_goes_on() -> None:
    told, said = [], threading.Event()

    def hear(words: str) -> None:
        told.append(words)
        said.set()

    with Heartbeat(hear, "profiling", every_s=0.01):
        assert said.wait(5)
    assert told[0] == "still at it after 0 s: profiling"


def test_who_sees_no_bar_is_told_of_what_goes_on_now(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with alive("training on UEs", every_s=0.01) as told:
        told("starting Spark")
        capsys.readouterr()
        until(lambda: "s: starting Spark\n" in capsys.readouterr().err)


def test_a_watcher_may_be_told_something_before_a_run_begins() -> None:
    console = Plain(stderr=True)
    console.file = told = io.StringIO()
    with SweepProgress(console) as progress:
        progress.note(f"no report: {UGLY}")
    assert told.getvalue() == f"no report: {PRETTY}\n"


@pytest.mark.parametrize(("mbit", "told"), [(100, ""), (1, ", at least 25 s on the wire")])
def test_a_run_begins_with_what_the_wire_takes_where_one_waits_for_it(
    tmp_path: Path, mbit: float, told: str
) -> None:
    console = Plain(stderr=True)
    console.file = out = io.StringIO()
    cell = Cell(Configuration(1, 4, "cut 1", "raw", symmetric(rate_mbit=mbit)), 10**6, 0)
    with SweepProgress(console) as progress:
        progress.begin([cell], tmp_path, "native")
    assert out.getvalue() == f"1 cells over links shaped by native{told}; run: {tmp_path}\n"


def test_what_is_left_is_said_from_the_first_cell_on_while_there_is_any(tmp_path: Path) -> None:
    console = Plain(stderr=True)
    console.file = out = io.StringIO()
    folder, link = made_run(tmp_path), symmetric(rate_mbit=1)
    cells = [Cell(Configuration(k, 2, f"cut {k}", "raw", link), 10**6, 0) for k in (0, 1)]
    with SweepProgress(console) as progress:
        progress.begin(cells, tmp_path, "native")
        for cell in cells:
            progress.cell(cell)
            progress.frame(next(folder.frames()), ())
            progress.done(next(folder.cells()))
    _, first, last = out.getvalue().splitlines()
    assert re.search(r"cut 0.*: 1 frames, \d+ s left$", first)
    assert re.search(r"cut 1.*: 1 frames$", last)


def _shown(show: Callable[[], None]) -> str:
    with redirect_stdout(io.StringIO()) as out:
        show()
    return out.getvalue()
