"""What a gateway has served: it goes on to newer bundles, and back only when it is told so.

A signature says who made a bundle, not when: whoever can write to the folder or the registry could
bring back an old one that was signed in its day. So a gateway remembers, across restarts, the
highest sequence number that it served, and of that number every bundle. It refuses a lower number,
known to it or not, and of the same number what it served before the present one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierwise.data.errors import BadInput
from tierwise.data.files import read_json, write_json
from tierwise.router_model.bundle import BundleError


@dataclass(frozen=True)
class Accepted:
    """The bundles served so far.

    Attributes
    ----------
    sequence : int
        The present one's number; -1 where nothing was served.
    digests : tuple of str
        Of that number, in the order in which they were served; the last one is the present one.
    """

    sequence: int = -1
    digests: tuple[str, ...] = ()

    def check(self, sequence: int, digest: str) -> None:
        """Refuse a bundle that is older than the present one.

        Raises
        ------
        BundleError
            With the way back in its text.
        """
        if sequence < self.sequence:
            raise _older(f"sequence {sequence}", f"at least {self.sequence}, which was served")
        if sequence == self.sequence and digest in self.digests[:-1]:
            raise _older(f"bundle {digest[:12]}...", "one that was not served before the present")

    def then(self, sequence: int, digest: str) -> Accepted:
        """Return what has been served once this bundle is the present one."""
        earlier = self.digests if sequence == self.sequence else ()
        return Accepted(sequence, (*(one for one in earlier if one != digest), digest))


class AcceptedFile:
    """`Accepted`, kept in a file of this gateway alone; without one, for as long as it runs.

    Parameters
    ----------
    path : Path, optional
        Where no one who brings bundles can write.
    allow_older : bool
        Whether the present bundle may be replaced by an older one.

    Raises
    ------
    BadInput
        Where there is a file that cannot be read: it is not taken for an empty one.
    """

    def __init__(self, path: Path | None = None, *, allow_older: bool = False) -> None:
        self._path = path
        self._allow_older = allow_older
        self.now = Accepted() if path is None or not path.exists() else _read(path)

    def check(self, sequence: int, digest: str) -> None:
        """Refuse an older bundle, unless that is allowed; see `Accepted.check`."""
        if not self._allow_older:
            self.now.check(sequence, digest)

    def record(self, sequence: int, digest: str) -> None:
        """Remember a bundle as the present one; on an error of the disk nothing has changed."""
        now = self.now.then(sequence, digest)
        if now == self.now:
            return
        if self._path is not None:
            write_json(self._path, {"sequence": now.sequence, "digests": list(now.digests)})
        self.now = now


def _read(path: Path) -> Accepted:
    value: Any = read_json(path)
    try:
        sequence, digests = value["sequence"], tuple(value["digests"])
    except (KeyError, TypeError):
        sequence, digests = None, ()
    if type(sequence) is not int or not all(isinstance(one, str) for one in digests):
        raise BadInput(
            f"{path}: not what a gateway has served",
            "sequence and digests",
            "put back the right file; without one, every older bundle is taken again",
        )
    return Accepted(sequence, digests)


def _older(found: str, expected: str) -> BundleError:
    return BundleError(
        f"bundle: {found}",
        expected,
        "give the release a higher number (bundle.sequence), or allow an older one by hand",
    )
