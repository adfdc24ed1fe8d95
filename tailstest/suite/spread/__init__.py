"""Running the scenarios of one plan in several processes, with Dask."""
