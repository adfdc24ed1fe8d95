"""behave integration: plan, run, lint, step reference."""
