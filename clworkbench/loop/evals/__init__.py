"""From models and suites to scores, judges included."""
