"""Tasks on an existing Dask cluster: what asks for them, and what performs them. No stage imports this but by name."""
