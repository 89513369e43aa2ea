"""clworkbench: continuous learning of language models, driven by evidence."""
