"""The state of the suite for pages, readers and monitors: badges, a feed, metrics."""
