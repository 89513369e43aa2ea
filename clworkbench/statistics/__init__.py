"""Intervals, paired tests, power and multiplicity: numbers in, numbers out."""
