"""The update rules in NumPy, written from their equations: the yardstick for every implementation in this project.

Each rule takes weights w, the gradients g_1 ... g_T (in the weights' dtype, in which it also computes) and the
hyperparameters by name, and returns the weights after each step, [T, ...]. All of them are elementwise. Where Keras 2.2
and Keras 3 differ, the later parameters tell them apart; docs/optimizers.md has the equations.
"""

import numpy as np


def sgd(w, gradients, learning_rate):
    """Gradient descent: w = w - lr g."""
    return np.stack([w := w - w.dtype.type(learning_rate) * g for g in gradients])


def momentum(w, gradients, learning_rate, momentum, nesterov=False):
    """Heavy ball: v = momentum v - lr g; w = w + v, or w + momentum v - lr g under Nesterov."""
    real = w.dtype.type
    velocity = np.zeros_like(w)
    path = []
    for g in gradients:
        velocity = real(momentum) * velocity - real(learning_rate) * g
        w = w + (real(momentum) * velocity - real(learning_rate) * g if nesterov else velocity)
        path.append(w)
    return np.stack(path)


def native_momentum(w, gradients, learning_rate, momentum):
    """Heavy ball of TensorFlow 1 and PyTorch, whose velocity has no learning rate: a = momentum a + g; w = w - lr a."""
    real = w.dtype.type
    velocity = np.zeros_like(w)
    path = []
    for g in gradients:
        velocity = real(momentum) * velocity + g
        w = w - real(learning_rate) * velocity
        path.append(w)
    return np.stack(path)


def rmsprop(w, gradients, learning_rate, rho, epsilon, epsilon_in_root):
    """RMSprop: a = rho a + (1 - rho) g^2; w = w - lr g / (sqrt(a) + eps), in Keras 3 w - lr g / sqrt(a + eps)."""
    real = w.dtype.type
    mean_square = np.zeros_like(w)
    path = []
    for g in gradients:
        mean_square = real(rho) * mean_square + real(1 - rho) * g**2
        w = w - real(learning_rate) * g / _root(mean_square, real(epsilon), epsilon_in_root)
        path.append(w)
    return np.stack(path)


def adagrad(w, gradients, learning_rate, epsilon, initial_accumulator_value, epsilon_in_root):
    """Adagrad: a = a + g^2; w = w - lr g / (sqrt(a) + eps), in Keras 3 w - lr g / sqrt(a + eps)."""
    real = w.dtype.type
    accumulator = np.full_like(w, initial_accumulator_value)
    path = []
    for g in gradients:
        accumulator = accumulator + g**2
        w = w - real(learning_rate) * g / _root(accumulator, real(epsilon), epsilon_in_root)
        path.append(w)
    return np.stack(path)


def adadelta(w, gradients, learning_rate, rho, epsilon):
    """Adadelta: a, d are running means of g^2, u^2; u = g sqrt(d_(t-1) + eps) / sqrt(a + eps); w = w - lr u."""
    real = w.dtype.type
    mean_square, mean_square_update = np.zeros_like(w), np.zeros_like(w)
    path = []
    for g in gradients:
        mean_square = real(rho) * mean_square + real(1 - rho) * g**2
        update = g * np.sqrt(mean_square_update + real(epsilon)) / np.sqrt(mean_square + real(epsilon))
        mean_square_update = real(rho) * mean_square_update + real(1 - rho) * update**2
        w = w - real(learning_rate) * update
        path.append(w)
    return np.stack(path)


def adam(w, gradients, learning_rate, beta_1, beta_2, epsilon):
    """Adam: m, v are running means of g, g^2; w = w - lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)."""
    real = w.dtype.type
    m, v = np.zeros_like(w), np.zeros_like(w)
    path = []
    for t, g in enumerate(gradients, start=1):
        m = real(beta_1) * m + real(1 - beta_1) * g
        v = real(beta_2) * v + real(1 - beta_2) * g**2
        rate = real(learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t))
        w = w - rate * m / (np.sqrt(v) + real(epsilon))
        path.append(w)
    return np.stack(path)


def adamax(w, gradients, learning_rate, beta_1, beta_2, epsilon):
    """Adamax: m is a running mean of g; u = max(b2 u, |g|); w = w - lr / (1 - b1^t) m / (u + eps)."""
    real = w.dtype.type
    m, u = np.zeros_like(w), np.zeros_like(w)
    path = []
    for t, g in enumerate(gradients, start=1):
        m = real(beta_1) * m + real(1 - beta_1) * g
        u = np.maximum(real(beta_2) * u, np.abs(g))
        w = w - real(learning_rate / (1 - beta_1**t)) * m / (u + real(epsilon))
        path.append(w)
    return np.stack(path)


def nadam(w, gradients, learning_rate, beta_1, beta_2, epsilon, schedule_decay):
    """Nadam: Adam with m_hat = mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t).

    mu_t = b1 (1 - 0.5 * 0.96^(schedule_decay t)); schedule_decay is 1 in Keras 3.
    """
    real = w.dtype.type
    mu = beta_1 * (1 - 0.5 * 0.96 ** (schedule_decay * np.arange(len(gradients) + 2)))
    m, v = np.zeros_like(w), np.zeros_like(w)
    path = []
    for t, g in enumerate(gradients, start=1):
        m = real(beta_1) * m + real(1 - beta_1) * g
        v = real(beta_2) * v + real(1 - beta_2) * g**2
        momentum_share = mu[t + 1] / (1 - np.prod(mu[1 : t + 2]))
        gradient_share = (1 - mu[t]) / (1 - np.prod(mu[1 : t + 1]))
        m_hat = real(momentum_share) * m + real(gradient_share) * g
        w = w - real(learning_rate) * m_hat / (np.sqrt(v / real(1 - beta_2**t)) + real(epsilon))
        path.append(w)
    return np.stack(path)


def _root(mean_square, epsilon, epsilon_in_root):
    return np.sqrt(mean_square + epsilon) if epsilon_in_root else np.sqrt(mean_square) + epsilon
