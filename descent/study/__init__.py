"""The learning-rate study: every optimizer over its learning rates."""
