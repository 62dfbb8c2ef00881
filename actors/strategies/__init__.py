"""Worked examples of strategies."""
