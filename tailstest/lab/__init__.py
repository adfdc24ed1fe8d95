"""The network around a machine: what left it, and what must not have."""
