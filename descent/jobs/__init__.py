"""Stages of DVC's graph, side by side: what is out of date, real DVC processes, what a person sees of them."""
