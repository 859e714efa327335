"""What a training records: the columns of results/history/*.csv, in their order. Here, since two packages read it."""

# Those of the training are taken while the weights move and units are dropped, as Keras does.
LOSSES = ("loss", "accuracy", "val_loss", "val_accuracy")
# Of the whole epoch: how far the weights moved (L2 norm), how large they are after it (L2 norm), the ratio of the two,
# and the share of weights that have the value that they had before.
DIAGNOSTICS = ("distance", "weight_norm", "relative_change", "unchanged_weights")
MEASUREMENTS = (*LOSSES, *DIAGNOSTICS)
HISTORY = ("seed", "epoch", *MEASUREMENTS)
