"""Splits that become possible one after another while part 1 grows on the UE, over every link.

growth.csv      a row per split and link     frames.jsonl   every frame: its split, when, how long
conditions.json machines, versions           growth.json    what was asked
calibration.json                             what codecs were told, if they needed to be
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import UPLINK
from orchestrator.ask.grid import configurations
from orchestrator.ask.sweep_config import SweepConfig, sweep_config
from orchestrator.measure.calibration import calibrate
from orchestrator.measure.conditions import conditions
from orchestrator.results.run_folder import CALIBRATION_FILE, RunFolder, check_free, create
from orchestrator.testbed.local import local_model
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.site import checked_site
from orchestrator.testbed.testbed import testbed
from orchestrator.transit.growth.growing import Growing, Growth
from orchestrator.transit.growth.row import GROWING, WHOLE, GrowthRow, growth_csv, rows_of
from orchestrator.transit.outcome import Outcome, Told
from splitbed.codecs import codec_named
from splitbed.codecs.stage import Range
from splitbed.errors import UsageError
from splitbed.model_coders import DUMMY
from splitbed.timeline import NS_PER_MS

RESULTS_FILE, FRAMES_FILE, ASKED_FILE = "growth.csv", "frames.jsonl", "growth.json"
CONDITIONS_FILE = "conditions.json"


def growth_config(options: Mapping[str, object]) -> SweepConfig:
    """What is asked, checked: options of a sweep. Raises UsageError."""
    given = {name: value for name, value in options.items() if value is not None}
    config = sweep_config({"part_coder": DUMMY, **given, "delivery": True, "profile": False})
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


def run_growth(config: SweepConfig, told: Told) -> Outcome[GrowthRow]:
    """Measure what is asked; `told` is told what goes on. Raises SplitbedError."""
    if config.out:
        check_free(config.out)
    site = checked_site(config)
    with local_model(config) as local:
        splits = growing_splits(config, local.model)
        folder = create(config.out, f"growth-{local.model.name}")
        folder.replace(ASKED_FILE, config.model_dump_json(indent=2))
        rows = list[GrowthRow]()
        with testbed(site, local.model, config.flow_links) as bed:
            facts = conditions(bed.pair, bed.link.backend)
            folder.replace(CONDITIONS_FILE, facts.json(indent=2))
            growing = Growing(bed, config, splits, ranges_of(config, local.model, splits, folder))
            for links in config.flow_links:
                grew: Growth | None = None
                for way in (GROWING, WHOLE):
                    told(f"part 1 of {local.model.name} comes, {way}, over {links[0].words}")
                    growth = growing.over(links, at_once=way == WHOLE)
                    rows += rows_of(growth, local.model.name, way, config.part_coder, grew)
                    grew = growth
                    folder.replace(RESULTS_FILE, growth_csv(rows))
                    for line in _lines(growth, way):
                        folder.append(FRAMES_FILE, line)
                    if growth.error is not None:
                        raise growth.error
    return Outcome(rows, folder.path)


def ranges_of(
    config: SweepConfig, model: SweptModel, splits: Sequence[Configuration], folder: RunFolder
) -> Mapping[str, Range]:
    """Those of what crosses, as far as codecs need them."""
    coding = {each for one in splits for each in one.coding}
    cuts = {cut for cut, codec in coding if codec_named(codec).calibrated}
    if not cuts:
        return {}
    found = calibrate(config, model, sorted(cuts))
    folder.replace(CALIBRATION_FILE, found.text())
    return found.ranges


def growing_splits(config: SweepConfig, model: SweptModel) -> list[Configuration]:
    """The network anchor, the splits as part 1 grows, the device anchor. Raises UsageError."""
    codecs = {0: config.input_codec}
    found = configurations(config, model, lambda cut: codecs.get(cut, config.codec))
    return sorted(found, key=lambda one: one.k)


def _lines(growth: Growth, way: str) -> Iterator[bytes]:
    for one in growth.frames if growth.start_ns else ():  # else nothing was asked for
        told = {
            "link": growth.link.model_dump(mode="json"),
            "way": way,
            "split": one.split,
            "done_ms": (one.done_ns - growth.start_ns) / NS_PER_MS,
            "e2e_ms": one.e2e_ms,
            "max_abs_diff": one.max_abs_diff,
        }
        yield json.dumps(told).encode()
