"""What is tried before anything is trained, in the stage `check` alone."""
