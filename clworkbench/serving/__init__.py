"""Live capture: what applications send over HTTP, durable before it is acknowledged, then read into the tables."""
