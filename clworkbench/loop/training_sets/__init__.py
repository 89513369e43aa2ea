"""From signals and labels to a training set that is kept."""
