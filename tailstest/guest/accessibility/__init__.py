"""Programs of a guest seen through its accessibility tree: what they show, and their actions."""
