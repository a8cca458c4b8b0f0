"""Who asks for several UEs where one is measured is told by what he did."""

import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.testbed.site import check_one_ue
from splitbed.errors import UsageError


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"ues": "1,4"}, "--ues 1,4: .*: leave it"),
        ({"topology": "topologies/crowd.yaml"}, "the topology crowd: .*: give another --topology"),
    ],
    ids=str,
)
def test_several_ues_are_refused_by_what_names_them(asked: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_one_ue(sweep_config({"model": "shapesnet", **asked}))


def test_one_ue_is_none_too_many() -> None:
    check_one_ue(sweep_config({"model": "shapesnet", "ues": "1"}))
