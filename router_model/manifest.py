"""manifest.json: what a bundle consists of and what its numbers mean, as plain data.

A later version may add fields: they are kept and not interpreted. It may add files: a loader
refuses a file that is required and whose role it does not know.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tierwise.data.errors import BadInput
from tierwise.data.tiers import Tier
from tierwise.features.columns import ContextColumn
from tierwise.router_model.layout import DECIDES, REASONS, columns

SCHEMA_VERSION = 1
ROLES = ("policy", "golden")
"""File roles that this version reads; each occurs once."""
ENCODER_ROLES = ("encoder", "tokenizer")
"""Both or none: what embeds the text where the policy graph takes an embedding."""
MAX_BYTES = 4 << 20
MOST_BITS = 18  # as `features.tokens`, which needs more than a gateway has
MAX_SEQUENCE = 1 << 53  # what every reader of JSON keeps exactly
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KINDS = ("number", "category", "flag")
_LARGEST = 1e300


class BundleError(BadInput):
    """A bundle that must not be served; its text is one line."""


@dataclass(frozen=True)
class BundleFile:
    """A file of the bundle: its name, what it is for, its bytes and their digest."""

    name: str
    role: str
    size: int
    sha256: str
    required: bool = True


@dataclass(frozen=True)
class Manifest:
    """Everything about a policy that is no weight.

    Attributes
    ----------
    policy_version : str
        Name of this policy, as decisions and traces carry it.
    tiers : tuple of Tier
        In the graph's order, cheap to dear, with prices in USD per million tokens.
    context : tuple of ContextColumn
        Columns of the graph's `context` input, in order.
    fallback : str
        Name of the tier that is served when anything fails.
    bits, pair_bits : int
        Words' ids go up to 2 ** bits, those of pairs of words from -2 ** pair_bits to -1;
        `pair_bits` is 0 in a bundle of an earlier version, whose pairs are numbered behind words.
    sequence : int
        Rises with each release: a gateway that has served a bundle takes none of a lower one.
        0 where releases are not numbered.
    files : tuple of BundleFile
        All files but the manifest and its digest; filled in when the bundle is written.
    outputs : dict of str to int
        Offset of each number, and of each block of one number a tier, in `decision`.
    reasons : tuple of str
        Reason codes; the graph gives an index.
    decides : dict of str to str
        What decides, in words, for each reason; empty in a bundle of an earlier version.
    rule : dict
        What weighs quality against cost: `reference` (a tier), `mean_reference_cost` (USD), and
        `margin` and `weight` of every point of the path. Empty for a role table and in a bundle of
        an earlier version.
    role_table : dict
        What the policy serves by role, where it does so whatever the step says.
    rules : tuple
        The rules people set, as JSON.
    floors : dict
        What is certified: the content of certificate.json.
    promise : str
        The same in words.
    measured : dict
        Value on steps kept apart, with intervals.
    table_sha256, params_sha256 : str
        Digests of the training table and of the parameters.
    extra : dict
        Fields of a later version, as they were.
    """

    policy_version: str
    tiers: tuple[Tier, ...]
    context: tuple[ContextColumn, ...]
    fallback: str
    bits: int
    files: tuple[BundleFile, ...] = ()
    outputs: dict[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = REASONS
    decides: dict[str, str] = field(default_factory=lambda: dict(DECIDES))
    rule: dict[str, Any] = field(default_factory=dict)
    role_table: dict[str, Any] = field(default_factory=dict)
    rules: tuple[Any, ...] = ()
    floors: dict[str, Any] = field(default_factory=dict)
    promise: str = ""
    measured: dict[str, Any] = field(default_factory=dict)
    table_sha256: str = ""
    params_sha256: str = ""
    sequence: int = 0
    pair_bits: int = 0
    schema_version: int = SCHEMA_VERSION
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.outputs == {}:
            object.__setattr__(self, "outputs", columns(len(self.tiers)))
        _check(self)

    @property
    def tier_names(self) -> tuple[str, ...]:
        """Tier names in the graph's order."""
        return tuple(tier.name for tier in self.tiers)

    def to_bytes(self) -> bytes:
        """Return the JSON text; equal manifests give equal bytes."""
        value = asdict(self)
        value.update(value.pop("extra"))
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """Read what `to_bytes` wrote, or what a later version did.

        Raises
        ------
        BundleError
            Where it is no JSON object, a field is missing or wrong, or a file is required whose
            role this version does not know.
        """
        value = _json_object(content)
        version = value.get("schema_version")
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise _wrong(f"schema version {version!r}"[:99], f"{SCHEMA_VERSION}")
        known = {one.name for one in fields(cls)} - {"extra"}
        given = {name: value[name] for name in value if name in known}
        try:
            for name, kind in (("files", BundleFile), ("tiers", Tier), ("context", ContextColumn)):
                given[name] = tuple(_record(kind, one) for one in given[name])
            given["reasons"] = tuple(given["reasons"])
            given["rules"] = tuple(given["rules"])
            given.setdefault("decides", {})
            extra = {name: value[name] for name in value if name not in known}
            return cls(**given, extra=extra)
        except KeyError as error:
            raise _wrong(f"no field {error}", "every field of the schema") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise _wrong(f"a field of the wrong form ({error})"[:200], "the schema") from None


def _wrong(found: str, expected: str) -> BundleError:
    return BundleError(f"manifest.json: {found}", expected, "build the bundle again")


def _json_object(content: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    def no_constant(name: str) -> float:
        raise ValueError(f"{name} is no JSON")

    if len(content) > MAX_BYTES:
        raise _wrong(f"{len(content)} bytes", f"at most {MAX_BYTES}")
    try:
        value = json.loads(content.decode(), object_pairs_hook=once, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"not JSON ({error})"[:200], "a JSON object") from None
    if not isinstance(value, dict):
        raise _wrong("no object", "a JSON object")
    return value


def _record(kind: type[Any], value: dict[str, Any]) -> Any:
    """Make a dataclass of a JSON object; lists become tuples, unknown names are left out."""
    names = {one.name for one in fields(kind)}
    return kind(
        **{
            name: tuple(item) if isinstance(item, list) else item
            for name, item in value.items()
            if name in names
        }
    )


def _check(manifest: Manifest) -> None:
    names = manifest.tier_names
    strings = (manifest.policy_version, manifest.fallback, manifest.promise, *names)
    if not all(isinstance(one, str) for one in (*strings, *manifest.reasons)):
        raise _wrong("a name that is no text", "text")
    if not 2 <= len(names) <= 16 or len(set(names)) < len(names):
        raise _wrong(f"tiers {names}"[:99], "2 to 16 different tiers")
    if not manifest.policy_version or manifest.fallback not in names:
        raise _wrong(f"fallback {manifest.fallback!r}"[:99], "a version and one of the tiers")
    mappings = ("outputs", "decides", "rule", "role_table", "floors", "measured")
    if not all(isinstance(getattr(manifest, name), dict) for name in mappings):
        raise _wrong("a field of the wrong form", "an object")
    for name, least in (("bits", 1), ("pair_bits", 0)):
        bits = getattr(manifest, name)
        if type(bits) is not int or not least <= bits <= MOST_BITS:
            raise _wrong(f"{name} {bits!r}"[:99], f"{least} to {MOST_BITS}")
    if type(manifest.sequence) is not int or not 0 <= manifest.sequence < MAX_SEQUENCE:
        raise _wrong(f"sequence {manifest.sequence!r}"[:99], f"0 to {MAX_SEQUENCE - 1}")
    expected = columns(len(names))
    if {name: manifest.outputs.get(name) for name in expected} != expected:
        raise _wrong("other output columns", f"{expected}")
    if manifest.reasons[: len(REASONS)] != REASONS:
        raise _wrong("other reasons", ", ".join(REASONS))
    _check_tiers(manifest.tiers)
    _check_context(manifest.context)
    _check_files(manifest.files)


def _check_tiers(tiers: tuple[Tier, ...]) -> None:
    for tier in tiers:
        values = asdict(tier)
        words = (*values.pop("models"), values.pop("name"), values.pop("procurement"))
        maybe = [values.pop(name) for name in ("effort", "vendor", "like")]
        words += tuple(word for word in maybe if word is not None)
        numbers = [number for number in values.values() if number is not None]
        if not all(isinstance(word, str) for word in words) or not all(map(_is_number, numbers)):
            raise _wrong(f"tier {tier.name!r} of the wrong form"[:99], "words and numbers")


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and -_LARGEST < value < _LARGEST


def _check_context(context: tuple[ContextColumn, ...]) -> None:
    names = [column.name for column in context]
    if names[:4] != ["role", "task_type", "text_bytes", "context_tokens"]:
        raise _wrong(f"context {names[:4]}"[:99], "role, task_type, text_bytes, context_tokens")
    if len(set(names)) < len(names):
        raise _wrong("a context column twice", "different names")
    for column in context:
        words = (column.name, *column.vocabulary)
        if column.kind not in _KINDS or not all(isinstance(word, str) for word in words):
            raise _wrong(f"context column {column.name!r}"[:99], f"one of {', '.join(_KINDS)}")


def _check_files(files: tuple[BundleFile, ...]) -> None:
    for one in files:
        if not isinstance(one.name, str) or not FILE_NAME.fullmatch(one.name):
            raise _wrong(f"file name {one.name!r}"[:99], "letters, digits, dot, dash")
        known = (*ROLES, *ENCODER_ROLES)
        if one.required is not False and one.role not in known:
            raise _wrong(f"required file of role {one.role!r}"[:99], f"one of {', '.join(known)}")
        if type(one.size) is not int or one.size < 0 or not isinstance(one.sha256, str):
            raise _wrong(f"size of {one.name}", "bytes")
        if not _DIGEST.fullmatch(one.sha256):
            raise _wrong(f"digest of {one.name}", "64 hexadecimal digits")
    names = [one.name for one in files]
    if len(set(names)) < len(names):
        raise _wrong("a file twice", "different names")
