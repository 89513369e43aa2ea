"""What LangSmith reports: runs and feedback."""
