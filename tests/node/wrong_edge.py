"""An edge node whose results lack their last element."""

from edge_node.cli import main
from splitbed.tasks import TASKS, Task
from splitbed.tensors import Tensors


def shortened(outputs: Tensors, inputs: object) -> Tensors:
    return {name: array[:, :-1] for name, array in outputs.items()}


TASKS.own["tensors"] = Task(shortened)
main()
