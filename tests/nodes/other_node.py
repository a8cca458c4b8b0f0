"""An edge node that is of another version: of the protocol, or of a package, as $OTHER says."""

import importlib.metadata
import os

import splitbed.host
from edge_node.cli import main

if os.environ["OTHER"] == "protocol":
    vars(splitbed.host)["PROTOCOL"] = 3
else:
    vars(splitbed.host)["PACKAGES"] = ("onnxruntime",)
    vars(importlib.metadata)["version"] = lambda _: "0.0.1"
main()
