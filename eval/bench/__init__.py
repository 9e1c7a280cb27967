"""The entropy coder's benchmark: workloads, peers, races."""
