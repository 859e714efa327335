"""What the runs can tell: statistics, tables, figures, page."""
