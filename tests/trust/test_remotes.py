"""A team's remote, a folder or one of S3: what one of them has pushed, nobody runs again."""

import pytest
import requests
from moto.server import ThreadedMotoServer
from pipeline import Project


@pytest.fixture
def s3(tmp_path):
    """An S3-compatible server on this machine, and credentials where every tool of AWS looks for them."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    requests.put(f"{url}/team", timeout=60).raise_for_status()  # makes the bucket
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("[default]\naws_access_key_id = us\naws_secret_access_key = secret\n")
    yield url
    server.stop()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_nobody_runs_again_what_another_has_pushed(kind, light, request, tmp_path):
    project, clone = light.duplicate(tmp_path / "project"), Project(tmp_path / "clone")
    place = "s3://team/descent" if kind == "s3" else tmp_path / "team"
    project.run(f"dvc remote add --default team {place}")
    if kind == "s3":
        project.run(f"dvc remote modify team endpointurl {request.getfixturevalue('s3')}")
    project.run("dvc push --quiet")
    project.commit("Name our remote")
    project.run(f"git clone --quiet . {clone.folder}")

    assert clone.repro("--pull --allow-missing") == []
    assert not (clone.folder / "data/raw/mnist.npz").exists()  # nor was anything fetched that nothing needs
    clone.edit(lambda parameters: parameters["optimizers"]["adam"]["config"].update(learning_rate=0.003))
    assert clone.repro("--pull --allow-missing") == ["check", "compare", "trace", "train@adam"]
    clone.run("dvc pull --quiet")
    for path in ("data/raw/mnist.npz", "data/prepared/splits.npz", "results/models/sgd.weights.h5"):
        assert (clone.folder / path).read_bytes() == (project.folder / path).read_bytes()
