"""Whose trouble a failure is, found out by running it again four ways."""
