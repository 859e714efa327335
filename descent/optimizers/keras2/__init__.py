"""The update rules of Keras 2.2 that Keras 3 changed, and its TFOptimizer, as Keras 3 optimizers; one file a rule.

SGD, Adadelta, Adam and Adamax are not here: Keras 3 kept their equations and changed defaults only. Defaults in these
classes are those of Keras 2.2. In the equations, g is the gradient, w a weight, t = 1, 2, ... the step, and every
operation is elementwise: weights that carry a leading run axis are as many separate optimizers, and a learning rate
of shape [runs, 1, 1] gives each its own. Each class is registered with Keras as `keras2>Name`.
"""
