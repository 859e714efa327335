"""From an entry of params.yaml to a Keras optimizer; the rules of Keras 2.2 where Keras 3 changed them."""
