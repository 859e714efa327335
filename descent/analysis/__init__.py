"""What the runs tell, in numbers: reading results, statistics, tables. No picture, no page, no Keras."""
