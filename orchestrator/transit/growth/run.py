"""Splits that become possible one after another while part 1 grows on the UE, over every link.

The folder is that of :mod:`orchestrator.transit.growth.journal`; calibration.json there is what
codecs were told, if they needed to be.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import UPLINK
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.grid import configurations
from orchestrator.measure.accuracy_set import AccuracySet
from orchestrator.measure.calibration import calibrate
from orchestrator.measure.conditions import coded_facts, conditions
from orchestrator.results.kinds import GROWTH, TransitRecord, read_transit_record
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.testbed.local import local_model
from orchestrator.testbed.model import Known, SweptModel
from orchestrator.testbed.site import checked_site
from orchestrator.testbed.testbed import testbed
from orchestrator.transit.begun import begin, going_on, measure_under
from orchestrator.transit.growth.growing import Growing
from orchestrator.transit.growth.journal import GrowthJournal
from orchestrator.transit.growth.record import SplitRecord, record_of
from orchestrator.transit.growth.row import GROWING, WHOLE, GrowthRow
from orchestrator.transit.outcome import Outcome, Told
from splitbed.codecs import codec_named
from splitbed.errors import UsageError
from splitbed.model_coders import DUMMY


def growth_config(options: Mapping[str, object]) -> SweepConfig:
    """What is asked, checked: options of a sweep. Raises UsageError."""
    given = {name: value for name, value in options.items() if value is not None}
    config = sweep_config({"part_coder": DUMMY, **given, "delivery": True, "profile": False})
    config.only_fp32("a part that grows is the model's own")
    if config.flow != UPLINK:
        raise UsageError(f"--flow {config.flow}: part 1 grows on the UE in the flow uplink alone")
    for name, codecs in (("codec", config.codec), ("input-codec", config.input_codec)):
        if len(codecs) > 1:
            raise UsageError(f"--{name} {','.join(codecs)}: frames go on with one of them; name it")
        if codec_named(codecs[0]).sequential:
            raise UsageError(
                f"--{name} {codecs[0]} codes a frame with what it knows of the one before, and that"
                " may have gone by another split: name another"
            )
    return config


def resumed_growth(folder: Path) -> SweepConfig:
    """What the growth in a folder was asked. UsageError where that cannot be told."""
    return growth_config(read_transit_record(folder, GROWTH).config)


def run_growth(config: SweepConfig, told: Told, resumed: Path | None = None) -> Outcome[GrowthRow]:
    """Measure what is asked, or go on with it in the folder ``resumed``; `told` is told what is on.

    Raises SplitbedError.
    """
    if config.out and resumed is None:
        check_free(config.out)
    site = checked_site(config)
    with local_model(config) as local:
        splits = growing_splits(config, local.model)
        folder = RunFolder(resumed) if resumed else create(config.out, f"growth-{local.model.name}")
        with folder.locked():
            journal = _begun(folder, config, local.model)
            again = f"orchestrate grow --resume {folder.path}"
            with going_on(journal.write, again, told, lambda: bool(journal.cells)):
                known = known_of(config, local.model, splits, folder, told)
                _judge(config, local.model, splits[1:], known, journal, told)
                with testbed(site, local.model, config.flow_links) as bed:
                    growing = Growing(bed, config, splits, known)
                    facts = conditions(bed.pair, bed.link.backend)
                    measure_under(folder, GROWTH, facts, anew=not journal.cells)
                    _over_links(growing, config, journal, told)
            return Outcome(journal.rows, folder.path)


def _begun(folder: RunFolder, config: SweepConfig, model: SweptModel) -> GrowthJournal:
    journal = GrowthJournal(folder)
    asked = {"config": config.model_dump(mode="json")}
    fresh = TransitRecord(asked=asked, model=model.facts, coded=coded_facts())
    begin(folder, GROWTH, fresh, coded=bool(journal.splits))
    return journal


def _judge(
    config: SweepConfig,
    model: SweptModel,
    splits: Sequence[Configuration],
    known: Known,
    journal: GrowthJournal,
    told: Told,
) -> None:
    """What each split reaches; before anything is timed."""
    left = [one for one in splits if one.split not in journal.splits]
    if not left:
        return
    frames = AccuracySet(config, model, lambda: None, told)
    coded = {one.split: each.accuracy for one, each in frames.coded(left, known)}
    for one in left:  # what is lossless is as the whole model
        accuracy = frames.judge.whole if one.lossless else coded.get(one.split)
        if accuracy is not None:
            value, drop = accuracy.value, 0.0 if one.lossless else accuracy.drop
            journal.add_split(
                SplitRecord(
                    split=one.split,
                    metric=accuracy.metric,
                    accuracy=value,
                    drop=None if value is None else drop,
                    frames=accuracy.frames,
                )
            )


def _over_links(growing: Growing, config: SweepConfig, journal: GrowthJournal, told: Told) -> None:
    """Each way over each link, but those that ended. Raises what ended one too soon."""
    ended = journal.ended
    for links in config.flow_links:
        for way in (GROWING, WHOLE):
            if (way, links[0].words) in ended:
                continue
            told(f"part 1 comes, {way}, over {links[0].words}")
            growth = growing.over(links, at_once=way == WHOLE)
            journal.add(record_of(growth, way))
            if growth.error is not None:
                raise growth.error


def known_of(
    config: SweepConfig,
    model: SweptModel,
    splits: Sequence[Configuration],
    folder: RunFolder,
    told: Told = lambda _: None,
) -> Known:
    """Those of what crosses, as far as codecs need them."""
    coding = [each for one in splits for each in one.coding]
    return calibrate(config, model, coding, folder=folder, note=told).known


def growing_splits(config: SweepConfig, model: SweptModel) -> list[Configuration]:
    """The network anchor, the splits as part 1 grows, the device anchor. Raises UsageError."""
    codecs = {0: config.input_codec}
    found = configurations(config, model, lambda cut: codecs.get(cut, config.codec))
    return sorted(found, key=lambda one: one.k)
