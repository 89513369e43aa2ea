"""Simulated productions that the loop is shown on."""
