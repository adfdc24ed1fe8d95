"""DVDs, USB sticks and what is on an ISO image."""
