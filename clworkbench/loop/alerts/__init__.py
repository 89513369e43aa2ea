"""Alerts: what clw.toml watches for, and who is told."""
