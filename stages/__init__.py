"""When it is computed: each stage reads, calls descent, writes."""
