"""What Langfuse reports: observations and scores."""
