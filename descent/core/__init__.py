"""What every room uses: reading params.yaml, files of the user's, processes."""
