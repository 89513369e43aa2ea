"""OTLP's export requests, spans and log records, in every way in which they are written."""
