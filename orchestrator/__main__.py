"""Runs `orchestrate` as a module."""

from orchestrator.cli.root import main

main()
