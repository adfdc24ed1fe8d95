"""Live images of our own, built from Debian packages after a recipe."""
