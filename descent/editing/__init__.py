"""Writes into params.yaml, for commands. No stage depends on it, so that a change here reruns nothing."""
