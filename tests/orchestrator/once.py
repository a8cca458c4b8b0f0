"""A program for tests: `orchestrate`, which measures again nothing but what is not VALID."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0], sys.argv[0] = str(Path(__file__).parents[2]), "orchestrate"

    from orchestrator.cli.root import main
    from tests.orchestrator.commands import valid_once

    with valid_once():
        main()
