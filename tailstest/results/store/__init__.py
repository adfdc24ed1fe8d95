"""Results of many runs: written as they happen, asked for answers, tidied."""
