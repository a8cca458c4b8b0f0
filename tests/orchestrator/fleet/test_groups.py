"""A link is a group: its cells are those that a sweep over it alone has."""

from orchestrator.ask.sweep.by_link import by_link
from orchestrator.ask.sweep.config import sweep_config


def test_a_sweep_is_one_over_each_link_in_order_and_once() -> None:
    config = sweep_config(
        {"model": "shapesnet", "bw": "5,20,5", "delay_ms": "0,10", "warmup": 0, "codec": "raw,zstd"}
    )
    found = by_link(config)
    assert [one.flow_links for one in found] == [(links,) for links in config.flow_links]
    assert len(found) == 4
    changed = {"bw", "delay_ms"}
    assert all(
        one.model_dump(exclude=changed) == config.model_dump(exclude=changed) for one in found
    )


def test_profiles_of_links_and_links_with_shapes_of_their_own_are_kept() -> None:
    config = sweep_config(
        {"model": "shapesnet", "flow": "chain", "split": "stage2+stage3", "bw": "5,20",
         "link_of": "backhaul:rate_mbit=1000"}
    )  # fmt: skip
    assert [one.flow_links for one in by_link(config)] == [(one,) for one in config.flow_links]
    config = sweep_config({"model": "shapesnet", "link": "5g,wifi"})
    assert [one.link for one in by_link(config)] == [("5g",), ("wifi",)]
