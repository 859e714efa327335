"""What a training records: the columns of results/history/*.csv, in their order. One place, since two rooms read it."""

# Of the whole epoch; those of the training are taken while the weights move and units are dropped, as Keras does.
LOSSES = ("loss", "accuracy", "val_loss", "val_accuracy")
# Of the last update of the epoch.
DIAGNOSTICS = ("gradient_norm", "update_norm", "update_to_weight", "unmoved_share")
MEASUREMENTS = (*LOSSES, *DIAGNOSTICS)
HISTORY = ("seed", "epoch", *MEASUREMENTS)
