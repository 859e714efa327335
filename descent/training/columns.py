"""What a training records: the columns of results/history/*.csv, in their order. One place, since two rooms read it."""

# Of the whole epoch; those of the training are taken while the weights move and units are dropped, as Keras does.
LOSSES = ("loss", "accuracy", "val_loss", "val_accuracy")
# Also of the whole epoch, over all trainable weights: L2 norm of (weights after it - weights before it), L2 norm of the
# weights after it, the first divided by the second, share of the single weights that have the same value as before it.
DIAGNOSTICS = ("distance", "weight_norm", "relative_change", "unchanged_weights")
MEASUREMENTS = (*LOSSES, *DIAGNOSTICS)
HISTORY = ("seed", "epoch", *MEASUREMENTS)
