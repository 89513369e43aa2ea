"""Slices, drift and repeated failures of a workspace's signals."""
