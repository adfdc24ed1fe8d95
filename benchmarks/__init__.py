"""Measurements of speed and accuracy, always against a named alternative in the same run."""
