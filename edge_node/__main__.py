"""Runs `edge-node` as a module."""

from edge_node.cli import main

main()
