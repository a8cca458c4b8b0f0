"""What cannot be imported, as a library that is not whole cannot."""

raise RuntimeError("half of it is missing")
