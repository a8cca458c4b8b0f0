"""The commands on the pages that need a link are run, smaller where the page says so.

Those that other tests measure likewise are run up to where their nodes would begin.
"""

from pathlib import Path

import pytest

from tests.docs.pages import Block, to_run
from tests.docs.stand_ins import make


@pytest.mark.parametrize("block", to_run(linked=True), ids=lambda block: block.place)
def test_what_a_page_has_typed_works(backend: str, block: Block, tmp_path: Path) -> None:
    make(block.stand_ins, tmp_path)
    if block.measured_by:
        block.begin(tmp_path)
        return
    done = block.run(tmp_path)
    said = "INVALID" in done.out.split() or ": disturbed: " in done.err
    disturbed = done.code == 1 and said
    assert done.code == 0 or disturbed, f"{done.out}\n{done.err}"
