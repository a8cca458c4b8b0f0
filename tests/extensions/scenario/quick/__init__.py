"""A scenario: its file, as `orchestrate scenario show 10.2 --yaml` prints one."""

from importlib.resources import files

FILE = files(__name__) / "quick.yaml"
