"""Attributes of devices as the kernel's sysfs tells them, one in a file."""

from pathlib import Path


def attribute(file: Path) -> str:
    """Its text, without the end of the line. Raises OSError."""
    return file.read_text().strip()
