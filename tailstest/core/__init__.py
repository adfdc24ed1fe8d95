"""What every room may use: errors, time, events, settings, paths."""
