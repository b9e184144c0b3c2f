"""Make a registered bundle champion, or the champion before it again.

Nothing else moves the alias once there is a champion. A promotion asks the gate against what serves
at that moment; a rollback asks nothing, because it goes back to what has served.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierwise.data.errors import BadInput
from tierwise.eval import registry
from tierwise.eval.champion import pull
from tierwise.eval.gate import gate
from tierwise.eval.gate_rules import Rule, Verdict
from tierwise.eval.registry import Word

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

VERSION = re.compile(r"(?:models:/)?tierwise-(?P<run>[^/]+)/(?P<version>\d+)")


@dataclass(frozen=True)
class Moved:
    """What came of asking for another champion.

    Attributes
    ----------
    done : bool
        Whether `version` is champion now.
    name, version : str
        Of the model.
    before : str or None
        The champion until now, None where there was none.
    verdict : Verdict or None
        The gate's, where it was asked.
    """

    done: bool
    name: str
    version: str
    before: str | None
    verdict: Verdict | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as a JSON value."""
        told = {name: getattr(self, name) for name in ("done", "name", "version", "before")}
        return told | {"gate": self.verdict.as_dict() if self.verdict else None}

    def lines(self) -> list[str]:
        """Return the outcome for people: what serves, and each rule that says no."""
        refused = self.verdict.refused if self.verdict else ()
        told = [f"  {rule.verdict:<5}{rule.name}: {rule.words}" for rule in refused]
        if not self.done:
            serves = f"version {self.before} stays" if self.before else "there is none"
            return [f"{self.name} version {self.version} is not champion: {serves}", *told]
        if self.before == self.version:
            return [f"{self.name}: version {self.version} is champion already", *told]
        instead = f", before it version {self.before}" if self.before else ""
        return [f"{self.name}: champion is version {self.version}{instead}", *told]


def target(asked: str, artifacts: Path = Path("artifacts")) -> tuple[Path, str | None]:
    """Read `artifacts/fleet` as a run, `tierwise-fleet/3` as one of its versions.

    Raises
    ------
    BadInput
        Where it is neither.
    """
    if Path(asked).is_dir():
        return Path(asked), None
    found = VERSION.fullmatch(asked)
    if not found:
        raise BadInput(
            f"{asked!r}",
            "the folder of a run, or a version such as tierwise-fleet/3",
            "give artifacts/<name>",
        )
    return artifacts / found["run"], found["version"]


def promote(
    run: Path,
    version: str | None,
    why: str,
    *,
    params: Path = Path("params.yaml"),
    despite_gate: bool = False,
) -> Moved:
    """Make a version champion where the gate says yes.

    Parameters
    ----------
    run : Path
        artifacts/<name>.
    version : str, optional
        By default the one that holds the run's bundle. Another one is judged by what the gate
        said when it was registered, provided that the champion is still the one it was held
        against: the run's files are no longer those it came from.
    why : str
        Kept as a tag.
    params : Path
        For the gate.
    despite_gate : bool
        Promote also where the gate says no; kept as a tag of its own.

    Raises
    ------
    BadInput
        Without a reason, for a version that is not there, and where another champion was made
        meanwhile.
    """
    word = _word(why, "promoted")
    name, sha256 = registry.model_name(run), registry.manifest_sha256(run / "policy")
    with registry.opened(run) as client:
        own = registry.version_of(client, name, sha256) if sha256 else None
        version = version or own
        if version is None or not _exists(client, name, version):
            raise BadInput(
                f"no version {version or 'of this bundle'} of {name}",
                "a registered bundle",
                "run the register stage, or name a version that `make ui` shows",
            )
        serving = registry.champion(client, name)
        before = None if serving is None else str(serving.version)
        if before == version:
            return Moved(True, name, version, before)
        if version == own:
            verdict = _against_champion(run, params)
        else:
            tags = client.get_model_version(name, version).tags
            verdict = _as_registered(tags, "" if serving is None else serving.tags["sha256"])
        if not (verdict.passed or despite_gate):
            return Moved(False, name, version, before, verdict)
        with registry.alone(run):
            now = registry.champion(client, name)
            if (None if now is None else str(now.version)) != before:
                raise BadInput(
                    f"{name} has another champion since the gate was asked",
                    f"version {before}" if before else "none",
                    "promote again, against the new one",
                )
            _note_gate(client, name, version, verdict)
            registry.crown(client, name, version, word)
    return Moved(True, name, version, before, verdict)


def rollback(run: Path, to: str | None, why: str) -> Moved:
    """Make the champion before the present one champion again.

    Parameters
    ----------
    run : Path
        artifacts/<name>.
    to : str, optional
        An earlier champion; by default the last one.
    why : str
        Kept as a tag.

    Raises
    ------
    BadInput
        Without a reason, without an earlier champion, and for a version that never was one.
    """
    word, name = _word(why, "rolled back"), registry.model_name(run)
    with registry.opened(run) as client, registry.alone(run):
        serving = registry.champion(client, name)
        earlier = registry.champions_before(client, name)
        if serving is None or not earlier:
            raise BadInput(f"{name} has no champion before", "an earlier champion", "promote one")
        version = to or earlier[-1]
        if version not in earlier:
            raise BadInput(
                f"version {version} was no champion of {name} before {serving.version}",
                f"one of {', '.join(dict.fromkeys(earlier))}",
                f"tierwise promote {name}/{version} asks the gate instead",
            )
        registry.restore(client, name, version, word)
        return Moved(True, name, version, str(serving.version))


def _word(why: str, move: str) -> Word:
    if not why.strip():
        raise BadInput("no reason", "a reason that others will read", 'add --why "..."')
    return Word(registry.actor(), " ".join(why.split()), move)


def _note_gate(client: MlflowClient, name: str, version: str, verdict: Verdict) -> None:
    """Keep what the gate said against a version that is promoted despite it; else forget it."""
    tag = "champion.despite_gate"
    if not verdict.passed:
        said = "; ".join(f"{rule.name}: {rule.words}" for rule in verdict.refused)
        client.set_model_version_tag(name, version, tag, said[:5000])
    elif tag in client.get_model_version(name, version).tags:
        client.delete_model_version_tag(name, version, tag)


def _against_champion(run: Path, params: Path) -> Verdict:
    """Ask the gate with what serves at this moment; the run's own files stay as they are."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            pull(run, Path(scratch) / "champion")
        except BadInput as error:  # no comparison is a no, which a person may overrule
            return Verdict(False, (Rule("champion", "fail", None, None, str(error)),))
        return gate(run, params, Path(scratch) / "champion")


def _as_registered(tags: Mapping[str, str], serving: str) -> Verdict:
    """Return what the gate said of a version, as far as it was held against what serves now."""
    against = tags.get("gate.against", "")
    if against != serving:
        words = (
            f"The gate held it against {against[:12] or 'the reference tier'}; what serves now is "
            f"{serving[:12] or 'the reference tier'}. Build it again and promote the run."
        )
        return Verdict(False, (Rule("champion", "fail", None, None, words),), against)
    if tags.get("gate") == "passed":
        return Verdict(True, (), against)
    refused = tuple(
        Rule(key.removeprefix("gate."), "fail", None, None, told.removeprefix("fail: "))
        for key, told in sorted(tags.items())
        if key.startswith("gate.") and told.startswith("fail: ")
    )
    return Verdict(False, refused, against)


def _exists(client: MlflowClient, name: str, version: str) -> bool:
    return any(
        str(one.version) == version for one in client.search_model_versions(f"name = '{name}'")
    )
