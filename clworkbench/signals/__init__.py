"""What happened: traces, logs, events and reviews, read into interactions and feedback."""
