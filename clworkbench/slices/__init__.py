"""Slices: rates where and when, and how sure they are."""
