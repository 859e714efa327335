"""The address of a cluster's scheduler, and whether code and pickles may be sent there."""

import ipaddress
from urllib.parse import urlsplit

from descent.core.parameters import InputError

VARIABLE, INSECURE = "DESCENT_CLUSTER", "DESCENT_CLUSTER_INSECURE"


def check(address: str, insecure: bool) -> None:
    """Refuse an address that is none, and one in the open: whoever reads or answers there could run code here.

    Args:
        address: `tls://host:port`; `tcp://` on this machine itself.
        insecure: let `tcp://` lead to other machines.

    Raises:
        InputError: that says what would do.
    """
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("tls", "tcp") and parts.hostname and parts.port
    except ValueError:
        known = False
    if not known:
        raise InputError(f"{VARIABLE}: expected tls://host:port of a Dask scheduler, got {address!r}")
    if parts.scheme == "tcp" and not insecure and not _is_here(parts.hostname):
        raise InputError(
            f"{VARIABLE}: {address}: nothing protects tcp:// between machines, and what travels is code;"
            f" use tls:// (docs/cluster.md), or set {INSECURE}=1 in a network where all may run code here"
        )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
