"""The command `stages.diff` on a real repository of Git and DVC, in which files are written by hand."""

import contextlib
import io

import pytest
import synthetic
from pipeline import Project

from stages import diff

NAMES = ["adam", "sgd"]
# DVC 3.67 calls pygtrie in a way that its newest release deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")


class Repository(Project):
    """A folder with results, under Git and DVC."""

    def diff(self, *arguments):
        """Run `python -m stages.diff ARGUMENTS` in this process; returns what it prints."""
        shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(shown), pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["stages.diff", *arguments])
            diff.main()
        shown.seek(0)
        return shown.read()

    def train(self, name, level, **details):
        (self.folder / f"results/history/{name}.csv").write_text(synthetic.history_text(level), encoding="utf-8")
        (self.folder / f"results/metrics/{name}.json").write_text(synthetic.metrics_text(level, **details))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The branch `main`, the branch `faster` with another result of sgd, the tag `untrained` without a result of it."""
    repository = Repository(synthetic.project(tmp_path_factory.mktemp("repository"), NAMES))
    repository.init()
    repository.commit("Start")
    repository.run("git rm --quiet results/history/sgd.csv && git commit --quiet --message Lose && git tag untrained")
    repository.run("git reset --quiet --hard HEAD~1 && git checkout --quiet -b faster")
    parameters = repository.folder / "params.yaml"
    parameters.write_text(parameters.read_text().replace("batch_size: 128", "batch_size: 64"))
    repository.train("sgd", 0.87)
    repository.commit("Train faster")
    repository.run("git checkout --quiet main")
    return repository


@pytest.fixture
def clean(repository):
    """The same, put back to `main` afterwards."""
    yield repository
    repository.run("git checkout --quiet --force main")


def test_two_revisions_are_compared_wherever_the_workspace_stands(repository):
    text = repository.diff("main", "faster", "--md")
    assert text.startswith("| Validation accuracy, %")
    assert "beyond noise" in text
    assert "Same runs to the last digit: adam." in text
    assert "Parameters: training.batch_size: 128 -> 64." in text


def test_the_workspace_or_an_experiment_may_be_the_second_revision(clean):
    clean.train("adam", 0.9)
    text = clean.diff("main")
    assert " workspace " in text.splitlines()[0]
    assert "Same runs to the last digit: sgd." in text
    clean.run("dvc exp save --quiet --force --name tried")
    clean.run("git checkout --quiet --force main")
    assert clean.diff("main", "tried").splitlines()[2:] == text.splitlines()[2:]


def test_brief_is_silent_while_results_are_those_of_head_and_else_one_line_that_never_fails(clean):
    assert clean.diff("HEAD", "--brief") == ""
    (line,) = clean.diff("untrained", "--brief").splitlines()
    why = "python -m stages.diff untrained"
    assert line == f"No committed results to compare with ({why} says why): commit yours."
    clean.train("adam", 0.9502, environment=synthetic.ENVIRONMENT | {"device": "GPU"})
    (line,) = clean.diff("HEAD", "--brief").splitlines()
    assert line.startswith(
        "Results differ from the committed ones (device: CPU -> GPU (adam)): 2 of 2 optimizers agree"
    )


@pytest.mark.parametrize(
    ("revisions", "message"),
    [
        ("main nonsense", "nonsense: unknown Git revision 'nonsense'"),
        ("untrained", "untrained: results/history/sgd.csv: not in Git at untrained; git add it and commit"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(repository, revisions, message):
    with pytest.raises(SystemExit) as ended:
        repository.diff(*revisions.split())
    assert str(ended.value) == message
