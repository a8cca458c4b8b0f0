"""How long attacks go on: some minutes in all, or as long as `make attack` has them."""

import os

LONG = os.environ.get("SPLITBED_ATTACK") == "long"


def tries(few: int, many: int) -> int:
    """How often an attack tries: so few times in the tests, so many in `make attack`."""
    return many if LONG else few
