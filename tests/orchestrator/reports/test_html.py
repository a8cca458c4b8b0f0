"""report.html of a run that was made up to be known, and what a real browser makes of it."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from netem.spec import LinkSpec, symmetric
from netem.wire import wire_ms
from orchestrator.cli.commands.report import report_app
from orchestrator.reports.html import write_report
from orchestrator.reports.page_facts import CURVE_POINTS, facts
from orchestrator.results.judgement.choice import choices
from orchestrator.results.judgement.compression import compression_needed
from orchestrator.results.judgement.verdict import judge_run
from orchestrator.results.kinds import RUN_FILE
from orchestrator.results.rows import known
from orchestrator.results.run_folder import SAMPLES_FILE, RunFolder
from splitbed.errors import RunError, UsageError
from tests.browser import Page, browse
from tests.orchestrator.written import add_cell_line, add_frame, change_run, rows, write_run

MARKUP = "<b>x</b></script>"
"""A split whose name a page must not take for its own words."""

SLOW, FAST = symmetric(rate_mbit=5), symmetric(rate_mbit=20)
AHEAD_NS = 7_000_000_000
"""By how much the edge's clock is ahead of the UE's where there are two …"""
UNSURE_NS = 1_000_000_000
"""… and how unsure that is: more than any one-way time."""

FIGURES = {"stages", "crossover", "compression", "latencies", "frame", "accuracy", "link"}


def add_cell(
    folder: RunFolder, split: str, ue_ms: float, nbytes: int, edge_ms: float, link: LinkSpec,
    name: str = "", two_clocks: bool = False, frames: int = 3, **changed: Any,
) -> None:  # fmt: skip
    """A cell of `frames` frames, each 1 ms slower than the one before it."""
    key = f"{split} {changed.get('codec', 'raw')} {link.words}"
    for number in range(frames):
        stages, now_ns = [], 0
        took_ms = {"preprocess": 2, "part1": ue_ms + number, "encode": 0.5}
        if nbytes:
            took_ms["uplink"] = wire_ms(nbytes, link.uplink) + 0.1
            took_ms |= {"decode": 0.2, "part2": edge_ms, "result": 0.1}
            took_ms["downlink"] = wire_ms(100, link.downlink) + 0.1
        for stage, ms in took_ms.items():
            ahead_ns = AHEAD_NS if two_clocks else 0
            start_ns = now_ns + (ahead_ns if stage in ("decode", "part2", "result") else 0)
            end_ns = start_ns + int(ms * 1e6)
            if stage == "uplink":
                end_ns += ahead_ns
            if stage == "downlink":
                start_ns += ahead_ns
            stages.append([stage, start_ns, end_ns])
            now_ns += int(ms * 1e6)
        add_frame(
            folder,
            {"attempt": key, "frame": number, "stages": stages, "encoded_bytes": nbytes,
             "result_bytes": 100, "max_abs_diff": 0.0}
        )  # fmt: skip
    rate_mbit = link.uplink.rate_mbit
    proof: dict[str, Any] = {"uplink_mbit": rate_mbit * 0.999, "downlink_mbit": rate_mbit * 1.001}
    proof |= {"rtt_min_ms": 0.3, "fault": "", "tcp": None}
    reading = {"at_ns": 0, "low_ns": AHEAD_NS - UNSURE_NS, "high_ns": AHEAD_NS + UNSURE_NS}
    reading |= {"rtt_ns": 2 * UNSURE_NS, "exchanges": 8}
    add_cell_line(
        folder,
        {"key": key, "attempt": key, "split": split, "split_name": name or f"cut{split[0]}",
         "codec": "raw", "lossless": True, "intermediate_tensors": 1, "intermediate_bytes": nbytes,
         "link": link.model_dump(), "link_backend": "linkbox", "error": None, "part1_bytes": 1,
         "part2_bytes": 2, "proofs": [proof, proof],
         "clock": {"readings": [reading], "origin": reading} if two_clocks else None} | changed
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return made_up(tmp_path)


def made_up(base: Path) -> RunFolder:
    """Two splits and the anchors over two links, a codec, a failed cell, one of two clocks."""
    folder = RunFolder(base / "run")
    folder.path.mkdir()
    write_run(
        folder,
        model={"name": "m", "weights": "a file", "inputs": [{"name": "a.jpg"}] * 20},
        asked={"bw": [5, 20], "input": None, "max_drop": 0.2},
        conditions={"kernel": "6.1", "cpus": 2},
        whole_accuracy={"metric": "AP", "value": 0.9, "more": {}, "classes": {}},
    )
    lossy: dict[str, Any] = {"codec": "int8", "precision": "ue fp16", "lossless": False}
    lossy |= {"accuracy": {"metric": "AP", "value": 0.8, "drop_high": 0.15}}
    for link in (FAST, SLOW):
        add_cell(folder, "0:4", 0.1, 150_000, 20, link, "network anchor")
        add_cell(folder, "1:3", 10, 90_000, 15, link, MARKUP)
        add_cell(folder, "3:1", 60, 25_000, 5, link, **lossy)
        add_cell(folder, "4:0", 120, 0, 0, link, "device anchor", codec="none")
    add_cell(folder, "3:1", 60, 100_000, 5, FAST, two_clocks=True)
    add_cell(folder, "3:1", 60, 100_000, 5, SLOW, frames=0, error="the edge node died")
    return folder


def told_in(page: Path) -> Any:
    """The facts in the data block of the page."""
    found = re.search(
        r'<script type="application/json" id="facts">(.*?)</script>', page.read_text()
    )
    assert found
    return json.loads(found[1])


def told_of(folder: RunFolder) -> Any:
    """The facts as the page has them."""
    return json.loads(json.dumps(facts(folder.path)))


def test_the_page_tells_the_very_numbers_of_the_rows(folder: RunFolder) -> None:
    table, told = rows(folder), told_in(write_report(folder.path))["cells"]
    assert len(told) == len(table) == 10
    for row, cell in zip(table, told, strict=True):
        for name, value in row.plain().items():
            near = pytest.approx(value, rel=1e-5) if isinstance(value, float) else value
            assert cell["row"].get(name) == near, name


def test_a_column_that_no_row_fills_is_left_out_of_the_page(folder: RunFolder) -> None:
    told = told_of(folder)["cells"]
    assert "part1_predicted_ms" not in told[0]["row"]
    assert "accuracy_drop" in told[-1]["row"]


def test_the_best_configuration_of_each_link_is_told_and_by_how_much(folder: RunFolder) -> None:
    told = told_in(write_report(folder.path))
    slow, fast = told["choices"]  # the slow link first
    cells = told["cells"]
    assert (slow["link"], cells[slow["best"]]["label"]) == (
        "5 Mbit/s",
        "cut3 (3:1) as int8 in ue fp16",
    )
    assert (fast["link"], cells[fast["best"]]["label"]) == ("20 Mbit/s", f"{MARKUP} (1:3)")
    for choice, anchor in ((slow, "device anchor"), (fast, "network anchor")):
        best, other = cells[choice["best"]]["row"], cells[choice["anchor"]]
        assert other["label"] == anchor
        answer = dict(zip(told["answer"], choice["answer"], strict=True))
        gain = other["row"]["e2e_ms"] / best["e2e_ms"]
        assert answer["by how much"].startswith(f"{gain:.2f} times (")
        assert f"as fast as the {anchor}" in answer["by how much"]
    assert cells[slow["lossless"]]["label"] == "device anchor"


def test_shrunk_by_what_is_told_a_split_takes_what_the_best_anchor_does(folder: RunFolder) -> None:
    (row,) = [r for r in rows(folder) if (r.split, r.bw_mbit) == ("1:3", 5)]
    device_ms = 121.5  # part 1 of the second frame, and encode
    needed = compression_needed(row)
    assert needed is not None
    assert row.e2e_ms == pytest.approx(device_ms + known(row.uplink_ms) * (1 - 1 / needed))


def test_no_compression_helps_where_the_nodes_alone_are_slower(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m", "weights": "a file"})
    link = symmetric(rate_mbit=5, delay_ms=50)
    add_cell(folder, "0:2", 0, 150_000, 20, link)
    add_cell(folder, "1:1", 60, 9_000, 30, link)  # with the delays 190 ms, and 14 of wire
    add_cell(folder, "2:0", 160, 0, 0, link, codec="none")
    (split,) = [cell for cell in told_of(folder)["cells"] if not cell["anchor"]]
    assert split["needed"] == "inf"


def test_without_an_anchor_the_fastest_is_told_and_that_one_is_missing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m", "weights": "a file"})
    add_cell(folder, "1:2", 60, 9_000, 30, FAST)
    add_cell(folder, "2:1", 70, 9_000, 30, FAST)
    (choice,) = choices(rows(folder))
    assert choice.best is not None
    assert (choice.best.split, choice.complete, choice.gain) == ("1:2", False, None)


def test_a_failed_cell_is_told_with_its_reason(folder: RunFolder) -> None:
    told = told_of(folder)
    (failed,) = [cell for cell in told["cells"] if not cell["row"]["valid"]]
    assert failed["row"]["reason"] == "the edge node died"
    assert any("the edge node died" in reason for reason in told["verdict"]["reasons"])


def test_of_two_clocks_the_frame_is_told_on_the_clock_of_the_ue(folder: RunFolder) -> None:
    (cell,) = [c for c in told_of(folder)["cells"] if c["row"].get("one_way_uncertainty_ms")]
    assert cell["row"]["uplink_ms"] is None
    assert cell["row"]["network_ms"] == pytest.approx(wire_ms(100_000, FAST.uplink), abs=1)
    assert max(end for *_, end in cell["frame"]["spans"]) < 200
    assert [place for _, place, *_ in cell["frame"]["spans"]] == [
        *["UE"] * 3, "link", *["edge"] * 3, "link",
    ]  # fmt: skip


def test_the_frame_in_the_middle_is_told(folder: RunFolder) -> None:
    frame = told_of(folder)["cells"][0]["frame"]
    assert (frame["number"], frame["of"]) == (2, 3)


def test_a_curve_of_many_frames_has_few_points_and_both_ends(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m", "weights": "a file"})
    add_cell(folder, "2:0", 1, 0, 0, FAST, codec="none", frames=1000)
    curve = told_of(folder)["cells"][0]["cdf"]
    assert len(curve) <= CURVE_POINTS
    assert curve[0] == [1.5, 0.001]
    assert curve[-1] == [1000.5, 1.0]


def test_the_verdict_of_the_run_is_told_until_its_rows_say_otherwise(folder: RunFolder) -> None:
    assert told_of(folder)["verdict"]["word"] == "NOT ENDED"
    change_run(folder, verdict="VALID", reasons=[])
    assert told_of(folder)["verdict"]["word"] == "INVALID"


def test_advice_is_of_the_rows_beside_it_not_what_was_printed_once(folder: RunFolder) -> None:
    change_run(folder, verdict="VALID", reasons=[], advice=["Cut somewhere else."])
    advice = told_of(folder)["verdict"]["advice"]
    assert advice == list(judge_run(rows(folder), 10).advice)


def test_conditions_leave_out_what_was_not_asked_and_the_end_of_long_lists(
    folder: RunFolder,
) -> None:
    lines = dict(line for part in told_of(folder)["conditions"] for line in part["lines"])
    assert lines["bw"] == "5, 20"
    assert "input" not in lines
    assert lines["inputs"] == "… and 8 more, which are in run.json"


def test_a_half_written_line_is_left_out_and_told(folder: RunFolder) -> None:
    with (folder.path / SAMPLES_FILE).open("a") as stream:
        stream.write('{"attempt":"1:3 raw 5')
    told = told_in(write_report(folder.path))
    assert len(told["cells"]) == 10
    assert [SAMPLES_FILE in words for words in told["unread"]] == [True]


def test_of_missing_samples_the_rows_are_told_without_times(folder: RunFolder) -> None:
    (folder.path / SAMPLES_FILE).unlink()
    told = told_in(write_report(folder.path))
    assert told["unread"] == [f"{SAMPLES_FILE} is missing"]
    assert {cell["row"]["valid"] for cell in told["cells"]} == {False}


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ({"schema": 99, "model": {"name": "m", "weights": ""}}, "newer"),
        ({"schema": 1}, "a record lacks 'model'"),
    ],
)
def test_a_run_that_cannot_be_read_is_refused_and_nothing_written(
    folder: RunFolder, run: dict[str, Any], says: str
) -> None:
    (folder.path / RUN_FILE).write_text(json.dumps(run))
    with pytest.raises(UsageError, match=says):
        write_report(folder.path)
    assert not (folder.path / "report.html").exists()


def test_a_report_that_cannot_be_written_says_how_to_have_it_elsewhere(folder: RunFolder) -> None:
    with pytest.raises(RunError, match=r"nowhere/r\.html: No such file .* --out FILE"):
        write_report(folder.path, folder.path / "nowhere/r.html")


def test_the_page_is_one_file_that_asks_no_other(folder: RunFolder) -> None:
    page = write_report(folder.path).read_text()
    assert re.findall(r"""(?:src|href)=["'](?!data:)[^"']*""", page) == []
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []
    assert not re.search(r"^\s*import\b|\bimport\(|\bfetch\(|@import", page, re.M)
    assert "default-src 'none'" in page


# ---------------------------------------------------------------- the command


def command(*words: object) -> Any:
    return CliRunner().invoke(report_app, [str(word) for word in words])


def test_the_command_says_where_the_report_is(folder: RunFolder) -> None:
    ended = command(folder.path)
    assert (ended.exit_code, ended.output) == (0, f"Report: {folder.path}/report.html\n")


def test_a_broken_threshold_is_named_and_makes_the_command_fail(folder: RunFolder) -> None:
    assert command(folder.path, "--threshold", "e2e<1s@4:0").exit_code == 0
    ended = command(folder.path, "--threshold", "e2e<100ms@4:0")
    assert ended.exit_code == 1
    assert "device anchor" in ended.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [("--format md", "| device anchor |"), ("--format csv", ",device anchor,"), ("--tr", "# Res")],
)
def test_tables_go_to_stdout_and_no_report_is_made(
    folder: RunFolder, words: str, says: str
) -> None:
    ended = command(folder.path, *words.split())
    assert ended.exit_code == 0
    assert says in ended.stdout
    assert not (folder.path / "report.html").exists()


def test_every_run_of_a_scenario_is_reported_even_beside_a_damaged_one(folder: RunFolder) -> None:
    other = folder.path.parent / "other" / "sweep"
    other.mkdir(parents=True)
    (other / RUN_FILE).write_text("{")
    ended = command(folder.path.parent)
    assert isinstance(ended.exception, UsageError)
    assert ended.stdout == f"Report: {folder.path}/report.html\n"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    ended = command(tmp_path)
    assert isinstance(ended.exception, UsageError)
    assert "is no run" in str(ended.exception)


# ---------------------------------------------------------------- in a browser


class Drawn(HTMLParser):
    """Of each figure in a page: marks and lines of its table; all elements, and all words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.marks: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self.broken: list[str] = []
        self.elements: set[str] = set()
        self.words = ""
        self._figure = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.elements.add(tag)
        if tag == "section":
            self._figure = given.get("data-figure", "")
        wide = tag == "rect" and float(given.get("width", 0)) > 0
        self.marks[self._figure] += wide or tag == "circle" or given.get("class") == "line"
        self.lines[self._figure] += tag == "tr"
        shape = " ".join(given.get(name, "") for name in ("d", "x", "y", "width", "cx", "cy"))
        if "NaN" in shape or "undefined" in shape or "Infinity" in shape:
            self.broken.append(shape)

    def handle_data(self, data: str) -> None:
        self.words += data


USED = """<script type="module">
document.querySelectorAll("select").forEach((select) => {
  select.value = select.options[select.options.length - 1].value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
});
document.querySelectorAll("input[type=checkbox]").forEach((box) => box.click());
document.querySelectorAll("th:first-child button").forEach((button) => button.click());
document.querySelectorAll("details").forEach((details) => { details.open = true; });
document.querySelectorAll("svg").forEach((svg) => {
  svg.dispatchEvent(new PointerEvent("pointermove", { clientX: 300, bubbles: true }));
});
const tip = document.querySelector(".around .tip");
document.body.dataset.tip = tip.hidden ? "" : tip.textContent;
document.body.dataset.wide = document.documentElement.scrollWidth > innerWidth;
</script></body>"""
"""What a reader may do with the page, all at once."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The report to a reader who prefers light or dark; and `used`, on a narrow screen."""
    base = tmp_path_factory.mktemp("browser")
    page = write_report(made_up(base).path)
    used = base / "used.html"
    text = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    used.write_text(text.replace("</body>", USED))
    return {scheme: browse(page.as_uri(), base, scheme) for scheme in ("light", "dark")} | {
        "used": browse(used.as_uri(), base, size="500,900")
    }


@pytest.mark.parametrize("how", ["light", "dark", "used"])
def test_a_browser_has_nothing_to_complain_of(shown: dict[str, Page], how: str) -> None:
    assert shown[how].said == ""


@pytest.mark.parametrize("how", ["light", "dark", "used"])
def test_every_picture_has_marks_and_a_table_behind_it(shown: dict[str, Page], how: str) -> None:
    drawn = Drawn(shown[how].dom)
    assert {name for name, count in drawn.marks.items() if name and count} == FIGURES
    assert {name for name, count in drawn.lines.items() if name and count > 1} == FIGURES
    assert drawn.broken == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_light_or_dark_as_its_reader_prefers(
    shown: dict[str, Page], scheme: str
) -> None:
    assert (shown[scheme].brightness > 128) == (scheme == "light")


def test_a_name_of_a_run_stays_text(shown: dict[str, Page]) -> None:
    assert MARKUP in Drawn(shown["light"].dom).words
    assert MARKUP not in shown["light"].dom


def test_a_failed_cell_is_shown_as_such_beside_the_others(shown: dict[str, Page]) -> None:
    dom = shown["light"].dom
    assert re.search(r">cut3 \(3:1\)</text><text [^>]*>failed</text>", dom)
    assert "Not drawn: cut3 (3:1) over 5 Mbit/s (the edge node died)" in dom


def test_the_best_over_each_link_is_marked_once_on_the_map(shown: dict[str, Page]) -> None:
    (crossover,) = re.findall(r'data-figure="crossover".*?</section>', shown["light"].dom, re.S)
    svg = crossover.partition("</svg>")[0]
    assert svg.count('class="best"') == 2
    assert re.findall(r">([\d.]+ ms) ★<", svg) == ["64.7 ms", "109 ms"]
    assert re.findall(r"× (int8.*?)<", svg) == ["int8 in ue fp16"] * 2


def test_the_pointer_is_told_how_many_frames_are_done(shown: dict[str, Page]) -> None:
    assert re.search(r'data-tip="within [\d.]+ ms.*: [\d.]+ %', shown["used"].dom)


def test_a_narrow_screen_scrolls_no_page_sideways(shown: dict[str, Page]) -> None:
    assert 'data-wide="false"' in shown["used"].dom


def test_a_heading_that_was_clicked_says_how_it_sorts(shown: dict[str, Page]) -> None:
    assert 'aria-sort="ascending"' in shown["used"].dom
