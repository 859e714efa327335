"""Fetches MNIST: download.sources of params.yaml -> data/raw/mnist.npz, the same bytes from every source."""

from pathlib import Path

from descent import parameters
from descent.data import archives, sources
from descent.data.settings import DownloadParameters


@parameters.end_with_message
def main() -> None:
    """Read the section `download`, fetch, write the four arrays."""
    settings = parameters.read("params.yaml", "download", DownloadParameters)
    archives.write(Path("data/raw/mnist.npz"), sources.fetch(settings))


if __name__ == "__main__":
    main()
