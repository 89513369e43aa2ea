"""The command line: each verb is one call of the package, answered in words or as one JSON object."""

from clworkbench.cli.main import main

__all__ = ["main"]
