"""Hooks of behave for this suite; tailstest does the rest around them (docs/architecture.md)."""
