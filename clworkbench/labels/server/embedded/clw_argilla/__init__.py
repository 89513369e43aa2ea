"""What makes Argilla's server run alone: jobs and search without services; runs in the server's own venv."""
