"""Stands before scikit-learn in the processes that tests start: Keras would load it, which takes each a second.

So they find what the pipeline's own environment has, which is without it.
"""

raise ImportError("hidden by tests/hiding")
