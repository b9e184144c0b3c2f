"""A router whose policy is replaced while it serves, by bundles that are sound and newer."""

from __future__ import annotations

import ctypes
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from tierwise.data.errors import BadInput
from tierwise.router_model.bundle import BundleError, read_digest
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.swap import write_folder
from tierwise.serve.accepted import AcceptedFile
from tierwise.serve.decision import Decision
from tierwise.serve.download import Download, downloaded
from tierwise.serve.escalate import run
from tierwise.serve.explanation import Explanation
from tierwise.serve.router import Router

_LOG = logging.getLogger(__name__)


class ReloadingRouter:
    """Decides like a `Router`, with the newest sound bundle of a folder or a registry.

    A new bundle is opened and checked beside the one that serves; then one reference changes.
    A decision is made whole by the policy it began with; outages, and budgets whose rules stay the
    same, go on. On any failure the old policy goes on; the failure is counted and logged in one
    line.

    Parameters
    ----------
    folder : Path
        The bundle, replaced whole. With `download`, the local copy of the last good one: a restart
        without the registry serves that.
    load : callable, optional
        Opens a bundle and verifies it; `Router.load` with its options. Whatever they share
        (a log, budgets) is shared by all policies.
    accepted : AcceptedFile, optional
        What was served before; without it, that is forgotten with this process.
    download : Download, optional
        Where newer bundles come from, such as `from_mlflow`.

    Raises
    ------
    BundleError
        Where the first bundle is not sound or is older than one served before.

    Attributes
    ----------
    reloads : Counter of str
        What came of each look: `swapped`, `unchanged`, `refused` (not sound, or older), `failed`
        (anything else: no registry, a full disk) or `busy` (another thread was looking).
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        load: Callable[[Path], Router] = Router.load,
        accepted: AcceptedFile | None = None,
        download: Download | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._load = load
        self._accepted = AcceptedFile() if accepted is None else accepted
        self._download = download
        self._looking = Lock()
        self._changing = Lock()  # held for a few steps in memory, and by no decision
        self._retired = (Counter[str](), Counter[str](), Counter[str]())
        self.reloads: Counter[str] = Counter()
        self._router = self._open()

    def decide(
        self, step: str | Sequence[Mapping[str, Any]], *, role: str | None = None, **given: Any
    ) -> Decision:
        """Decide a step with the present policy; see `Router.decide`."""
        return self._router.decide(step, role=role, **given)

    def explain(
        self, step: str | Sequence[Mapping[str, Any]], *, role: str | None = None, **given: Any
    ) -> Explanation:
        """Decide a step and say why; see `Router.explain`."""
        return self._router.explain(step, role=role, **given)

    def decide_many(
        self,
        steps: Iterable[str | Sequence[Mapping[str, Any]]],
        each: Iterable[Mapping[str, Any]] = (),
        **common: Any,
    ) -> list[Decision]:
        """Decide several steps, all with the policy that is present now; see `Router`."""
        return self._router.decide_many(steps, each, **common)

    run = run  # call, check, escalate; each decision by the policy that is present then

    def set_outage(self, vendor: str, out: bool = True) -> None:
        """Say that a vendor is out, or is back; later policies go on with that."""
        with self._changing:
            self._router.set_outage(vendor, out)

    @property
    def outages(self) -> frozenset[str]:
        """Vendors that are out."""
        return self._router.outages

    def charge(self, tenant: str | None, usd: float) -> None:
        """Charge a tenant's budget for what a retry has cost, USD; never raises."""
        self._router.charge(tenant, usd)

    @property
    def router(self) -> Router:
        """The present policy's router."""
        return self._router

    @property
    def manifest(self) -> Manifest:
        """What the present policy is."""
        return self._router.manifest

    @property
    def digest(self) -> str:
        """The SHA-256 of the present policy's manifest."""
        return self._router.digest

    @property
    def decided(self) -> Counter[str]:
        """Decisions by reason, under all policies so far."""
        return self._total(0)

    @property
    def faults(self) -> Counter[str]:
        """What failed, by kind, under all policies so far."""
        return self._total(1)

    @property
    def ignored(self) -> Counter[str]:
        """Context values left out, by kind, under all policies so far."""
        return self._total(2)

    def reload(self) -> str:
        """Look once for another bundle and serve it if it is sound and not older; never raises.

        Returns
        -------
        str
            What came of it, one of the names in `reloads`.
        """
        if not self._looking.acquire(blocking=False):
            return self._count("busy")
        try:
            return self._count(self._look())
        finally:
            self._looking.release()

    def look(self) -> bool:
        """Do the same, for a `Poller`; False where it did not work."""
        return self.reload() not in ("refused", "failed")

    def _look(self) -> str:
        try:
            with self._candidate() as folder:
                if folder is None:
                    return "unchanged"
                fresh = self._checked(folder)
                if fresh.digest == self.digest:
                    return "unchanged"
                self._keep(folder, fresh)
            self._swap(fresh)
            _give_memory_back()
        except BadInput as error:  # a bundle that is refused, or an extra that it needs
            _LOG.warning("tierwise: policy %s goes on: %s", self.digest[:12], error)
            return "refused"
        except Exception as error:  # whatever a disk or a registry may raise
            line = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            _LOG.warning("tierwise: policy %s goes on: %s", self.digest[:12], line)
            return "failed"
        return "swapped"

    @contextmanager
    def _candidate(self) -> Iterator[Path | None]:
        """Yield where a bundle other than the present one lies, or None."""
        if self._download is not None:
            with downloaded(self._download, self._folder, self.digest) as found:
                yield found
            return
        yield None if read_digest(self._folder) == self.digest else self._folder

    def _checked(self, folder: Path) -> Router:
        fresh = self._load(folder)
        self._accepted.check(fresh.manifest.sequence, fresh.digest)
        return fresh

    def _keep(self, folder: Path, fresh: Router) -> None:
        """Remember a bundle, and copy a downloaded one to where the next start looks."""
        if folder != self._folder:
            write_folder(self._folder, {one.name: one.read_bytes() for one in folder.iterdir()})
        self._accepted.record(fresh.manifest.sequence, fresh.digest)

    def _open(self) -> Router:
        """Open the first policy: the folder's, or where that is not sound, a downloaded one."""
        try:
            return self._first(self._folder)
        except BundleError:
            if self._download is None:
                raise
        with downloaded(self._download, self._folder, "") as found:
            return self._first(found)

    def _first(self, folder: Path | None) -> Router:
        if folder is None:
            raise BundleError("no bundle in the registry", "one", "register a bundle first")
        first = self._checked(folder)
        self._keep(folder, first)
        return first

    def _swap(self, fresh: Router) -> None:
        with self._changing:
            old = self._router
            fresh.inherit(old)
            self._router = fresh
            # Copied in one step: a decision under way may still count into the old one.
            for retired, counts in zip(self._retired, _counts(old), strict=True):
                retired.update(Counter(counts))

    def _count(self, outcome: str) -> str:
        with self._changing:
            self.reloads[outcome] += 1
        return outcome

    def _total(self, place: int) -> Counter[str]:
        with self._changing:
            return self._retired[place] + Counter(_counts(self._router)[place])


def _give_memory_back() -> None:
    """Return what the old policy took to the system: glibc keeps freed memory for each thread."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _counts(router: Router) -> tuple[Counter[str], Counter[str], Counter[str]]:
    return router.decided, router.faults, router.ignored
