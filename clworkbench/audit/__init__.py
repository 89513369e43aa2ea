"""Audit: forgetting with its certificate, retention, and what proves that an artefact keeps the policy."""
