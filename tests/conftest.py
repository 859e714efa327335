"""What several test modules share."""

from pathlib import Path

import pytest

from descent import parameters
from descent.data import archives, sources

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def mnist_archive(tmp_path_factory):
    """Path of a data/raw/mnist.npz: made by the download code, from the repository's own file when that is right."""
    settings = parameters.read(ROOT / "params.yaml", "download", sources.DownloadParameters)
    own = sources.FileSource(kind="file", path=str(ROOT / "data/raw/mnist.npz"))
    path = tmp_path_factory.mktemp("raw") / "mnist.npz"
    archives.write(path, sources.fetch(settings.model_copy(update={"sources": [own, *settings.sources]})))
    return path
