"""What descent computes: values in, values out. The stages in stages/ say when."""
