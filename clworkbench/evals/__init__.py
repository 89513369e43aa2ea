"""Evaluation: frozen suites, a score for each example, and what the scores come to."""
