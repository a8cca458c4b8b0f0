"""What is measured: a split of the model, its codec, over a link, at a pace of the UE, its load."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from netem.spec import LinkSpec
from orchestrator.ask.crowd import UE, Crowd, OwnUe
from orchestrator.ask.flow import FLOWS, UPLINK, anchor_of
from orchestrator.ask.heads import Heads
from orchestrator.ask.itinerary import crossings, itinerary, with_head
from orchestrator.ask.links import links_words, shared_words
from orchestrator.ask.load import Load
from orchestrator.ask.pace import Pace
from orchestrator.ask.precision import Precision
from orchestrator.ask.split_point import NOTHING, Anchor, codecs_words, in_precision
from splitbed.codecs import RAW, codec_named
from splitbed.flow import DEVICE, Itinerary, Span, Station
from splitbed.model_coders import coder_named

Loading = tuple[tuple[int, ...], tuple[tuple[str, int | None], ...], Precision]
"""After how many layers each part but the last ends; the UEs that share, with cuts of their own;
the precision."""
Coding = tuple[tuple[int, str], ...]
"""Each cut whose tensors cross, and the codec."""
Making = tuple[Coding, tuple[Span, ...]]
"""What results rest on: codecs, and versions of layers."""


@dataclass(frozen=True)
class Configuration:
    """A split point ``k:n-k`` as the user calls it, its codec; ``link`` None is any link.

    ``codec`` is that of intermediate data, or of outputs that cross encoded; where none crosses,
    that of the input, or of results, or none. ``input_codec`` is that of an input that crosses
    besides.
    """

    k: int
    n: int
    split_name: str
    codec: str = RAW
    link: LinkSpec | None = None
    pace: Pace = field(default_factory=Pace)
    flow: str = UPLINK
    input_codec: str = ""
    later: tuple[int, ...] = ()
    """Cuts after the first, where the flow has more than two parts."""
    device_model: bool = False
    """Whether it is the device anchor, and of a model of its own."""
    part_coder: str = ""
    """In which parts that are delivered travel; none where none are, or as files."""
    precision: Precision = field(default_factory=Precision)
    """Of its parts."""
    heads: Heads = ()
    """Which outputs the head of each user makes; none told: each makes all."""
    later_links: tuple[LinkSpec, ...] = ()
    """Those after the first, where the flow has several that differ."""
    shared: bool = False
    """Whether all links of its flow are one."""
    load: Load = field(default_factory=Load)
    ues: Crowd = ()
    """Those that share the link, where there are several."""
    ue: str = UE
    """The one of them that it is of, where it is of one."""

    @cached_property
    def each(self) -> "tuple[Configuration, ...]":
        """That of each UE: of the one that there is, or of each of several."""
        return tuple(map(self._of, self.ues)) or (self,)

    def _of(self, own: OwnUe) -> "Configuration":
        k = self.k if own.cut is None else own.cut
        parted, was_parted = 0 < k < self.n, 0 < self.k < self.n
        if parted:
            codec = own.codec or (self.codec if was_parted else RAW)
        elif k == self.k:
            codec = self.codec
        else:
            codec = NOTHING if k else RAW
        link = self.link
        if link and (access := own.access(link.uplink.rate_mbit)):
            link = link.behind(access)
        return replace(
            self,
            k=k,
            split_name=self.split_name if k == self.k else own.split or self.split_name,
            codec=codec,
            device_model=self.device_model and k == self.k,
            pace=own.pace or self.pace,
            load=own.load or self.load,
            link=link,
            ues=(),
            ue=own.name,
        )

    def node(self, name: str) -> str:
        """A node of its flow as the testbed has it, where ``ue`` may be one of several."""
        return self.ue if name == UE else name

    @property
    def link_words(self) -> str:
        """Its links in words, and how many UEs share one."""
        sharing = self.ues or (FLOWS[self.flow].links if self.shared else ())
        return links_words(self.links) + shared_words(len(sharing))

    @property
    def cuts(self) -> tuple[int, ...]:
        """After how many layers each part but the last ends."""
        return self.k, *self.later

    @property
    def loading(self) -> "Loading":
        """What is loaded for it on which UEs: cells that agree in that need load nothing anew."""
        ues = tuple((own.name, own.cut) for own in self.ues)
        return self.cuts, ues, self.precision

    @property
    def links(self) -> tuple[LinkSpec, ...]:
        """Those of its flow, in their order; what follows the last is as that. None is any link."""
        return (self.link, *self.later_links) if self.link else ()

    @property
    def split(self) -> str:
        """The split point: layers in part 1, layers in part 2; and so on."""
        ends = pairwise((0, *self.cuts, self.n))
        return ":".join(str(last - first) for first, last in ends)

    @property
    def key(self) -> str:
        """Names it in a journal: the split and all that is asked of it."""
        flow = "" if self.flow == UPLINK else f"{self.flow} "
        link = f" over {self.link_words}" if self.link else ""
        pace = f" on UE {self.pace.words}" if self.pace.limits else ""
        whose = "" if self.ue == UE else f"{self.ue} "
        load = f" under {self.load.words}" if self.load.offered else ""
        precise = in_precision(self.precision.words)
        return f"{whose}{flow}{self.split} {self.codecs}{precise}{link}{pace}{load}"

    @property
    def words(self) -> str:
        """Its split as the user calls it, with the codecs where something crosses."""
        words = f"{self.split_name} {self.codecs}" if self.crosses else self.split_name
        return words + in_precision(self.precision.words)

    @property
    def codecs(self) -> str:
        """Its codec; behind that of the input, where that is encoded and crosses besides."""
        return codecs_words(self.codec, self.input_codec)

    @property
    def itinerary(self) -> Itinerary:
        """The stations of its frames; of several users, on the way to the first."""
        return self.itineraries[0]

    @cached_property
    def itineraries(self) -> tuple[Itinerary, ...]:
        """The stations of its frames on the way to each user."""
        of_input = self.input_codec or self.codec
        whole = self.cuts[-1] == self.n
        of_output = self.codec if FLOWS[self.flow].codes_outputs and whole else ""
        asked = self.flow, self.cuts, self.n, self.codec, of_input, of_output
        heads = self.heads or ((),) * len(FLOWS[self.flow].ways)
        ways = (
            with_head(itinerary(*asked, user=user), outputs) for user, outputs in enumerate(heads)
        )
        return tuple(tuple(replace(one, version=self._version(one)) for one in way) for way in ways)

    def _version(self, station: Station) -> str:
        if station.first == station.last:
            return ""
        return DEVICE if self.device_model else self.precision.version(station.node)

    @cached_property
    def crossings(self) -> tuple[tuple[str, int], ...]:
        """Each hop's stage, and the cut whose tensors cross; of n, results do."""
        ways = [crossings(self.flow, stations) for stations in self.itineraries]
        return tuple(dict.fromkeys(hop for way in ways for hop in way))

    @cached_property
    def carrying(self) -> tuple[tuple[str, int], ...]:
        """Those of them that carry no results, made by then."""
        made = [one.result for one in self.itinerary].index(True)
        ways = [crossings(self.flow, stations)[:made] for stations in self.itineraries]
        return tuple(dict.fromkeys(hop for way in ways for hop in way))

    @cached_property
    def coding(self) -> Coding:
        """Each cut whose tensors cross, and the codec: the input is what crosses cut 0.

        Outputs are what crosses cut n, where they cross. What a node hands on is told once.
        """
        made = [one.result for one in self.itinerary].index(True)
        return tuple(dict.fromkeys((one.last, one.gives) for one in self.itinerary[:made]))

    @cached_property
    def making(self) -> Making:
        """What its results rest on, of the one model."""
        spans = (one.span for way in self.itineraries for one in way)
        return self.coding, tuple(dict.fromkeys(span for span in spans if span.version))

    @property
    def cut(self) -> int | None:
        """The cut whose tensors are its intermediate data, or its input; None where neither."""
        return self.coding[-1][0] if self.coding else None

    @property
    def anchor(self) -> Anchor | None:
        """Which anchor it is; None for a split."""
        return anchor_of(self.flow, self.split, self.split_name)

    @property
    def crosses(self) -> bool:
        """Whether anything crosses a link."""
        return self.codec != NOTHING

    @property
    def lossless(self) -> bool:
        """Whether every part is the model's own, and gets the very tensors of the one before."""
        if self.ues:
            return all(one.lossless for one in self.each)
        kept = not self.part_coder or coder_named(self.part_coder).lossless
        return (
            kept
            and not self.making[1]
            and all(codec_named(codec).lossless for _, codec in self.coding)
        )

    @cached_property
    def delivered(self) -> tuple[Span, ...]:
        """Layers whose part is sent, where it is asked for, to the node that runs them."""
        fetchers = FLOWS[self.flow].fetchers
        return tuple(
            Span(one.first, one.last, version=one.version)
            for one in self.itinerary
            if one.node in fetchers and one.first < one.last
        )

    @property
    def calibrated(self) -> bool:
        """Whether a codec needs the ranges of what crosses."""
        return any(codec_named(codec).calibrated for _, codec in self.coding)

    def over(
        self,
        links: Sequence[LinkSpec],
        pace: Pace,
        ues: Crowd = (),
        load: Load | None = None,
    ) -> "Configuration":
        """The same split and codecs over these links of its flow, at this pace, of these UEs.

        Under another load, where one is given.
        """
        first, *later = links
        alike = len({*links}) == 1
        later_links = () if alike else tuple(later)
        load = load or self.load
        return replace(self, link=first, later_links=later_links, pace=pace, ues=ues, load=load)
