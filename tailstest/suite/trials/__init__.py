"""Scenarios run once more, apart from everything else, to find something out."""
