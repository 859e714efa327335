"""Runs the stages of DVC's graph in parallel: what is out of date, the DVC processes, what a user sees of them."""
