"""`clw serve`: an OpenAI-compatible endpoint that holds champion and challenger, and captures its own traffic."""
