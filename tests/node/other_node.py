"""An edge node that is of another version: of the protocol, or of a package, as $OTHER says."""

import importlib.metadata
import os

import splitbed.node.host
from edge_node.cli import main

if os.environ["OTHER"] == "protocol":
    vars(splitbed.node.host)["PROTOCOL"] = 2
else:
    vars(splitbed.node.host)["PACKAGES"] = ("onnxruntime",)
    vars(importlib.metadata)["version"] = lambda _: "0.0.1"
main()
