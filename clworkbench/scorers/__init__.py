"""Scorers: from outputs and expected answers to scores, as expressions over whole columns."""
