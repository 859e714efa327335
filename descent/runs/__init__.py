"""Runs of one optimizer: brought from the store or trained, kept, summed up."""
