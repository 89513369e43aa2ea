"""Asking people, reading what they answered, and how far they agree."""
