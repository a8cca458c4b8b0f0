"""Runs `orchestrate` as a module."""

from orchestrator.cli import main

main()
