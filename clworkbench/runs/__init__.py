"""Training runs: from a training set and a base to an adapter that can be made again."""
