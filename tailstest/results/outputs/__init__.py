"""A run in the formats of other people's dashboards."""
