"""The tutorial's numbers against ours: one run of its own beside our runs, and whether the two agree."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from descent.analysis import statistics
from descent.analysis.records import History
from descent.analysis.settings import Conditions
from descent.analysis.tables import by_epoch, summary_columns
from descent.runs.metrics import sample_sd


def applies(conditions: Conditions) -> bool:
    """Tell whether the tutorial trained on the same data set and compared by the same score."""
    return conditions.data.fetched == "mnist" and conditions.training.score == "accuracy"


class TutorialPoint(NamedTuple):
    """A row of tutorial.csv: on the validation images, what the tutorial printed, and our mean with its interval."""

    optimizer: str
    epoch: int
    val_accuracy_printed: float
    val_accuracy: float
    val_accuracy_low: float
    val_accuracy_high: float
    val_loss_printed: float
    val_loss: float
    val_loss_low: float
    val_loss_high: float


class Replication(NamedTuple):
    """One optimizer, averaged over some epochs."""

    optimizer: str
    epochs: str  # "20", or "16 to 20"
    printed: float  # validation accuracy of the tutorial's run
    mean: float  # of ours
    sd: float
    deviation: float  # printed - mean, in standard deviations of what one more run of ours would deviate
    loss_printed: float
    loss_mean: float
    loss_sd: float


class Agreement(NamedTuple):
    """All optimizers that the tutorial has too, over the same epochs; differences are tutorial minus ours."""

    epochs: str
    optimizers: int
    mean: float  # of the differences in validation accuracy, with its interval
    low: float
    high: float
    p: float  # of two one-sided tests: equivalent within the margin where it is at most the level
    largest: Replication | None  # the one that deviates most, in standard deviations
    tau: float  # Kendall's, of the two orders by accuracy


def points(
    histories: Mapping[str, History], printed: Mapping[str, Mapping[str, np.ndarray]], confidence: float
) -> list[TutorialPoint]:
    """Every epoch that both have, sorted by optimizer; the case of a name does not count."""
    rows = []
    for optimizer, history, theirs in _both(histories, printed):
        found = {}
        for column in ("val_accuracy", "val_loss"):
            found[f"{column}_printed"] = theirs[column]
            found |= summary_columns(column, statistics.summarize(history[column], confidence))
        rows += by_epoch(TutorialPoint, found, optimizer=optimizer)
    return rows


def replications(
    histories: Mapping[str, History], printed: Mapping[str, Mapping[str, np.ndarray]], last_epochs: int
) -> list[Replication]:
    """Compare at the last epoch that both have, and over as many last epochs as our optimizers are judged by."""
    rows = []
    for optimizer, history, theirs in _both(histories, printed):
        last = min(len(theirs["val_accuracy"]), len(history["val_accuracy"]))
        for first in dict.fromkeys((last, max(1, last - last_epochs + 1))):
            over = slice(first - 1, last)
            accuracy, loss = (history[column][over].mean(axis=0) for column in ("val_accuracy", "val_loss"))
            mean, sd, expected = accuracy.mean(), sample_sd(accuracy, 0), theirs["val_accuracy"][over].mean()
            one_more = sd * math.sqrt(1 + 1 / len(accuracy))
            rows.append(
                Replication(
                    optimizer=optimizer,
                    epochs=str(last) if first == last else f"{first} to {last}",
                    printed=expected,
                    mean=mean,
                    sd=sd,
                    deviation=(expected - mean) / one_more if one_more > 0 else math.nan,
                    loss_printed=theirs["val_loss"][over].mean(),
                    loss_mean=loss.mean(),
                    loss_sd=sample_sd(loss, 0),
                )
            )
    return rows


def agreements(rows: list[Replication], margin: float, confidence: float) -> list[Agreement]:
    """Sum up each range of epochs; optimizers with a diverged run are left out.

    Args:
        rows: of `replications`.
        margin: within which mean accuracies count as equivalent, in accuracy, > 0.
        confidence: of the intervals, in (0, 1).

    References:
        Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987): two one-sided tests.
    """
    summed = []
    for epochs in dict.fromkeys(row.epochs for row in rows):
        group = [row for row in rows if row.epochs == epochs and math.isfinite(row.mean)]
        if len(group) < 2:  # no spread between optimizers to test against
            continue
        theirs, ours = np.array([(row.printed, row.mean) for row in group]).T
        mean, _, low, high = statistics.summarize(theirs - ours, confidence)
        above = stats.ttest_1samp(theirs - ours, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(theirs - ours, margin, alternative="less").pvalue
        known = [row for row in group if math.isfinite(row.deviation)]
        largest = max(known, key=lambda row: abs(row.deviation), default=None)
        tau = stats.kendalltau(theirs, ours).statistic
        summed.append(Agreement(epochs, len(group), mean, low, high, max(above, below), largest, tau))
    return summed


def _both(
    histories: Mapping[str, History], printed: Mapping[str, Mapping[str, np.ndarray]]
) -> list[tuple[str, History, Mapping[str, np.ndarray]]]:
    """Name, history and printed numbers of every optimizer that both have."""
    return [(name, of, printed[name.lower()]) for name, of in sorted(histories.items()) if name.lower() in printed]
