"""Answers from the store: history, flakes, slow scenarios, what differs between runs."""
