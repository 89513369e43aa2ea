"""What a selection looks at, and what somebody picks by hand."""
