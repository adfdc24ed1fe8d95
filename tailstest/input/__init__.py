"""Keyboard layouts, typing, pointer."""
