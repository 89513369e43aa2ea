"""From a training set to a run: asked for, estimated, trained, replayed, and what it forgot."""
