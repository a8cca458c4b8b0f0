"""What a node's process takes of its machine: processors, memory, energy, GPUs."""
