"""One number for all that a result was computed from, and the shell command that computes it anew."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any


def digest(sections: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Hash parameters and files, so that any change that can change a result gives another number.

    Args:
        sections: of params.yaml, as YAML 1.2 reads them. Their order does not count, nor does 1e-3 for 0.001 or 0 for
            0.0, as these change nothing for DVC either.
        files: path from the repository's root -> content.

    Returns:
        SHA-256 in hexadecimal of the parameters as one line of JSON and, sorted by path, a line a file as sha256sum
        writes it.
    """
    parameters = json.dumps(json.loads(json.dumps(dict(sections)), parse_int=float), sort_keys=True)
    sums = (f"{hashlib.sha256(content).hexdigest()}  {path}" for path, content in sorted(files.items()))
    return hashlib.sha256("".join(f"{line}\n" for line in (parameters, *sums)).encode()).hexdigest()


def command(sections: Collection[str], paths: Collection[str]) -> str:
    """The shell command that prints the `digest` of these sections and files, run in the repository's root."""
    files = " \\\n  ".join(sorted(paths))
    return f"""{{ python -c "
import json
from ruamel.yaml import YAML
sections = YAML(typ='safe').load(open('params.yaml', encoding='utf-8'))
read = json.dumps({{name: sections[name] for name in {sorted(sections)}}})
print(json.dumps(json.loads(read, parse_int=float), sort_keys=True))
"
sha256sum \\
  {files}
}} | sha256sum"""
