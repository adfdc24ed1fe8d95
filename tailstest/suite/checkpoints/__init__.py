"""Checkpoints: saved machines from which scenarios with the same beginning go on."""
