"""May the challenger ship? Gates, verdicts, the report of them, and the model card."""
