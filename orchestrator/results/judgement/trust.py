"""How far the numbers of a run can be trusted, as sentences."""

from collections.abc import Mapping, Sequence
from statistics import median

from orchestrator.results.facts import Conditions
from orchestrator.results.judgement.disturbance import MAX_SPREAD, anchors_apart
from orchestrator.results.judgement.validity import is_off_pace
from orchestrator.results.judgement.words import listed, place_words, within
from orchestrator.results.rows import Row, known

MAX_OVER_BOUND = 1.05
"""Above this ratio a row is worth a look …"""
MAX_LATE_MS = 10.0
"""… when it is also later than two processes and a round trip through the link box explain."""


def trust(table: Sequence[Row]) -> list[str]:
    """What speaks for the rows of a run, and against them."""
    machine = (*_again(table), *_disturbed(table))
    return [*_prediction(table), *_late(table), *_links(table), *_paces(table), *machine]


def _prediction(table: Sequence[Row]) -> list[str]:
    """How well the profiles predicted what was measured."""
    alone = [row for row in table if row.valid and not row.load]
    predicted = [row for row in alone if row.prediction_error_pct is not None]
    if not predicted:
        return []

    def error_pct(row: Row) -> float:
        return abs(known(row.prediction_error_pct))

    def nodes_error_pct(row: Row) -> float:
        measured_ms, told_ms = (sum(map(known, row.of_parts(of))) for of in ("ms", "predicted_ms"))
        return abs(100 * (told_ms / measured_ms - 1))

    worst = max(predicted, key=error_pct)
    nodes = median(map(nodes_error_pct, predicted))
    return [
        f"The profiles predicted end-to-end times within {median(map(error_pct, predicted)):.1f} % "
        f"(median of {len(predicted)} valid cells; worst {error_pct(worst):.1f} %, "
        f"{place_words(worst)}), {_parts(worst)} alone within {nodes:.1f} %."
    ]


def _parts(row: Row) -> str:
    return listed([f"part {part + 1}" for part in range(len(row.layers))], "and")


def _over_bound(row: Row) -> float:
    return known(row.e2e_over_bound)


def _is_late(row: Row) -> bool:
    # on a link that is random or shared by request, lateness tells nothing of the instrument
    random = row.loss_pct or row.jitter_ms or row.downlink_loss_pct or row.downlink_jitter_ms
    if row.e2e_ms is None or random or row.load or row.ues > 1:  # where frames wait for others
        return False
    return _over_bound(row) > MAX_OVER_BOUND and row.e2e_ms - known(row.bound_ms) > MAX_LATE_MS


def _late(table: Sequence[Row]) -> list[str]:
    late = [row for row in table if _is_late(row)]
    if not late:
        return []
    worst = max(late, key=_over_bound)
    its, most = ("its", "") if len(late) == 1 else ("their", "most of all ")
    return [
        f"{len(late)} of {len(table)} cells took over {MAX_OVER_BOUND:g} times {its} physical "
        f"floor and over {MAX_LATE_MS:g} ms more than it, {most}{place_words(worst)} "
        f"({_over_bound(worst):.2f}): something else used this machine, or it is too slow for this "
        "link."
    ]


def _links(table: Sequence[Row]) -> list[str]:
    """Where a link was measured otherwise first, and then as asked."""
    again = [row for row in table if row.valid and (row.link_attempts or 1) > 1]
    if not again:
        return []
    worst = max(again, key=lambda row: known(row.link_attempts))
    most = "" if len(again) == 1 else "most often "
    return [
        f"{len(again)} of {len(table)} cells had a link that was as asked only when measured "
        f"again, {most}{place_words(worst)} ({worst.link_attempts} measurements): "
        "something else used the machine, or the link is not steady."
    ]


def _paces(table: Sequence[Row]) -> list[str]:
    """Where a UE that was asked for one pace had several, or another."""
    said = []
    slowed = [row for row in table if row.valid and row.ue_slowdown]
    for ue, on in dict.fromkeys((row.ue, row.measured_on) for row in slowed):
        own = [row for row in slowed if (row.ue, row.measured_on) == (ue, on)]
        ranked = sorted(own, key=_slowdown)
        least, most = ranked[0], ranked[-1]
        apart = _slowdown(most) > MAX_SPREAD * _slowdown(least)
        if apart or any(is_off_pace(row) for row in ranked):
            said.append(
                f"Asked for {ue}, the UE was {_slowdown(least):.1f} times ({least.with_codec} at "
                f"{least.link}) to {_slowdown(most):.1f} times ({most.with_codec} at {most.link}) "
                "slower: times at that pace compare the less."
            )
    return said


def _slowdown(row: Row) -> float:
    return known(row.ue_slowdown)


def _again(table: Sequence[Row]) -> list[str]:
    """How many cells were measured more than once."""
    again = [row for row in table if row.measured > 1]
    if not again:
        return []
    were, they = ("was", "it was") if len(again) == 1 else ("were", "they were")
    return [
        f"{len(again)} of {len(table)} cells {were} measured again, since {they} disturbed or had "
        "failed; the last time without a fault counts."
    ]


def _disturbed(table: Sequence[Row]) -> list[str]:
    """What remained disturbed, and by what."""
    found = [row for row in table if row.disturbed and row.e2e_ms is not None]
    if not found:
        return []
    said = [f"{place_words(row)} ({row.disturbed})" for row in found]
    were, their = ("was", "its time is") if len(found) == 1 else ("were", "their times are")
    return [
        f"{len(found)} of {len(table)} cells {were} disturbed when last measured, {their} "
        f"the machine's as well as the split's: {listed(said, 'and')}. Let nothing else run, "
        "then measure again."
    ]


def scattered(table: Sequence[Row]) -> list[str]:
    """Links whose cells are on several machines, as when one was lost for good."""
    on: dict[str, dict[str, None]] = {}
    for row in table:
        on.setdefault(row.link, {})[row.measured_on] = None
    return [
        f"cells at {link} were measured on {listed([*names], 'and')}, and what unlike machines "
        "took is not compared: go on with --resume, which measures them on one"
        for link, names in on.items()
        if len(names) > 1
    ]


def on_machines(machines: Mapping[str, Conditions], table: Sequence[Row]) -> list[str]:
    """Which links of a run on several machines each measured, and what that means."""
    links: dict[str, dict[str, None]] = {}
    for row in table:
        links.setdefault(row.measured_on, {})[row.link] = None
    if len(links) < 2:
        return []
    said = [
        f"{name} ({cpu}) measured {listed([*of], 'and')}"
        for name, of in links.items()
        if (cpu := (machines[name].ue.cpu if name in machines else None) or "processor not known")
    ]
    return [
        f"Measured on {len(links)} machines: {'; '.join(said)}. Rows of one link are of one "
        "machine and compare; times at links of different machines differ by the machines, too."
    ]


def apart(table: Sequence[Row]) -> list[str]:
    """Where the device anchor differs between links, none of which it uses."""
    said: dict[str, tuple[Row, Row]] = {}
    for fast, slow in anchors_apart(table):
        if slow.ue not in said or known(said[slow.ue][1].e2e_low_ms) < known(slow.e2e_low_ms):
            said[slow.ue] = fast, slow
    return [
        f"the {fast.split_name}, which uses no link, took {within(fast)} at {fast.link} and "
        f"{within(slow)} at {slow.link}{f' with the UE slowed ({ue})' if ue else ''}: the machine "
        "was disturbed"
        for ue, (fast, slow) in said.items()
    ]
