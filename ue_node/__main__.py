"""Runs `ue-node` as a module."""

from ue_node.cli import main

main()
