"""A site over the store: static pages of runs, scenarios and trends that need nothing else."""
