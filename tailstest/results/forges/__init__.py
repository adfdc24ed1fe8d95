"""Where the code lives: states of commits and notes on merge requests."""
