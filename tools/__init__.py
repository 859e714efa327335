"""Tools for those who work on descent itself; the pipeline needs none of them."""
