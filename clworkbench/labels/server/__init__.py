"""The annotators' own server: Argilla in a private venv, on this machine only, started and stopped by one command."""
