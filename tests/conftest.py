"""The order of the tests."""

import pytest

LONG = ("net", "deploy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that all workers end together."""
    items.sort(key=lambda item: not {*LONG} & {*item.path.parts})
