"""Scores that other harnesses gave, one reader a harness: each gives rows that gates take like our own."""
