"""What a run is to hold, from what changed and a policy."""
