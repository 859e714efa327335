"""Where the images come from: sources, archives, and the splits that are trained on and scored."""
