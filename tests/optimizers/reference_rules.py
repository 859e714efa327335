"""The update rules in NumPy, written from their equations: the yardstick for every implementation in this project.

Each rule gets the gradient g of step t = 1, 2, ... and its own state, whose entries start at zero, and returns by how
much the weights decrease. All of them are elementwise. Where Keras 2.2 and Keras 3 differ, the later parameters tell
them apart; docs/optimizers.md has the equations.
"""

from collections import defaultdict

import numpy as np


def follow(rule, w, gradients, **hyperparameters):
    """Take all steps of a rule; returns the weights after each, [T, ...]."""
    state, path = defaultdict(float), []
    for t, g in enumerate(gradients, start=1):
        w = w - rule(state, t, g, **hyperparameters)
        path.append(w)
    return np.stack(path)


def sgd(state, _, g, learning_rate, momentum=0.0, nesterov=False):
    """Heavy ball: v = momentum v - lr g; w = w + v, or w + momentum v - lr g under Nesterov."""
    state["v"] = momentum * state["v"] - learning_rate * g
    return learning_rate * g - momentum * state["v"] if nesterov else -state["v"]


def native_momentum(state, _, g, learning_rate, momentum):
    """Heavy ball of TensorFlow 1 and PyTorch, whose velocity has no learning rate: a = momentum a + g; w = w - lr a."""
    state["a"] = momentum * state["a"] + g
    return learning_rate * state["a"]


def rmsprop(state, _, g, learning_rate, rho, epsilon, epsilon_in_root):
    """RMSprop: a = rho a + (1 - rho) g^2; w = w - lr g / (sqrt(a) + eps), in Keras 3 w - lr g / sqrt(a + eps)."""
    state["a"] = rho * state["a"] + (1 - rho) * g**2
    return learning_rate * g / _root(state["a"], epsilon, epsilon_in_root)


def adagrad(state, t, g, learning_rate, epsilon, initial_accumulator_value, epsilon_in_root):
    """Adagrad: a = a + g^2; w = w - lr g / (sqrt(a) + eps), in Keras 3 w - lr g / sqrt(a + eps)."""
    state["a"] = (initial_accumulator_value if t == 1 else state["a"]) + g**2
    return learning_rate * g / _root(state["a"], epsilon, epsilon_in_root)


def adadelta(state, _, g, learning_rate, rho, epsilon):
    """Adadelta: a, d are running means of g^2, u^2; u = g sqrt(d_(t-1) + eps) / sqrt(a + eps); w = w - lr u."""
    state["a"] = rho * state["a"] + (1 - rho) * g**2
    update = g * np.sqrt(state["d"] + epsilon) / np.sqrt(state["a"] + epsilon)
    state["d"] = rho * state["d"] + (1 - rho) * update**2
    return learning_rate * update


def adam(state, t, g, learning_rate, beta_1, beta_2, epsilon):
    """Adam: m, v are running means of g, g^2; w = w - lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)."""
    state["m"] = beta_1 * state["m"] + (1 - beta_1) * g
    state["v"] = beta_2 * state["v"] + (1 - beta_2) * g**2
    return learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * state["m"] / (np.sqrt(state["v"]) + epsilon)


def adamax(state, t, g, learning_rate, beta_1, beta_2, epsilon):
    """Adamax: m is a running mean of g; u = max(b2 u, |g|); w = w - lr / (1 - b1^t) m / (u + eps)."""
    state["m"] = beta_1 * state["m"] + (1 - beta_1) * g
    state["u"] = np.maximum(beta_2 * state["u"], np.abs(g))
    return learning_rate / (1 - beta_1**t) * state["m"] / (state["u"] + epsilon)


def nadam(state, t, g, learning_rate, beta_1, beta_2, epsilon, schedule_decay):
    """Nadam: Adam with m_hat = mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t).

    mu_t = b1 (1 - 0.5 * 0.96^(schedule_decay t)); schedule_decay is 1 in Keras 3.
    """
    mu = beta_1 * (1 - 0.5 * 0.96 ** (schedule_decay * np.arange(1, t + 2)))
    state["m"] = beta_1 * state["m"] + (1 - beta_1) * g
    state["v"] = beta_2 * state["v"] + (1 - beta_2) * g**2
    m_hat = mu[-1] / (1 - np.prod(mu)) * state["m"] + (1 - mu[-2]) / (1 - np.prod(mu[:-1])) * g
    return learning_rate * m_hat / (np.sqrt(state["v"] / (1 - beta_2**t)) + epsilon)


def _root(mean_square, epsilon, epsilon_in_root):
    return np.sqrt(mean_square + epsilon) if epsilon_in_root else np.sqrt(mean_square) + epsilon
