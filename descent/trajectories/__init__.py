"""Paths of the optimizers over surfaces of two weights, where a picture can show what a rule does."""
