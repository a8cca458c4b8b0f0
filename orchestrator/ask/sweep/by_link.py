"""A sweep as one over each of its links."""

from itertools import product

from orchestrator.ask.sweep.config import SWEPT, SweepConfig, sweep_config


def by_link(config: SweepConfig) -> list[SweepConfig]:
    """The same over each link of its flow alone, once, in their order.

    All that is compared is in one: rows at one link, with the anchors there.
    """
    asked = config.model_dump(mode="json", exclude_none=True)
    names = ["link"] if config.link else [name for name in SWEPT if name != "link"]
    points = product(*(getattr(config, name) for name in names))
    found: dict[object, SweepConfig] = {}
    for point in points:
        swept = {name: [value] for name, value in zip(names, point, strict=True)}
        one = sweep_config({**asked, **swept})
        found.setdefault(one.flow_links, one)
    return list(found.values())
