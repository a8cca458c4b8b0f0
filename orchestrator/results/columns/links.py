"""The columns that a row has for each link of its flow after the first, whose all rows have.

uplink2_mbit, uplink2_delay_ms …      as asked
link2_mbit, link2_retransmits …       as proved
"""

from collections.abc import Iterator

from orchestrator.ask.flow import Flow
from orchestrator.results.columns import Column
from orchestrator.results.columns.main import NOT_PROVED


def link_columns(flow: Flow) -> Iterator[Column]:
    """Those of the links that follow the first."""
    for number in further_links(flow):
        nodes = " and ".join(flow.links[number - 1])
        for way in ("uplink", "downlink"):
            meaning = f"rate of the {way} between {nodes}, as asked"
            yield Column(meaning, "Mbit/s", name=f"{way}{number}_mbit", kind=float)
            meaning = f"its one-way delay, as asked, the {way} of link {number}"
            yield Column(meaning, "ms", name=f"{way}{number}_delay_ms", kind=float)
        for name, unit, meaning, kind in (
            (
                "mbit",
                "Mbit/s",
                "its uplink as measured before and after, the mean",
                float,
            ),
            ("down_mbit", "Mbit/s", "its downlink as proved, likewise", float),
            ("rtt_ms", "ms", "its round trip as proved, likewise the least of pings", float),
            ("retransmits", "", "TCP segments that had to be sent again on it", int),
        ):
            words = f"link {number}, {nodes}: {meaning}"
            yield Column(words, unit, NOT_PROVED, name=f"link{number}_{name}", kind=kind)


def further_links(flow: Flow) -> range:
    """The numbers of those after the first."""
    return range(2, len(flow.links) + 1)
