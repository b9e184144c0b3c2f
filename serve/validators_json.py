"""Checks of JSON: against a JSON Schema, or against a pydantic model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tierwise.data.errors import BadInput
from tierwise.serve.validators import PASS, Check, Validator, fail, json_of

if TYPE_CHECKING:
    from pydantic import BaseModel

_EXTRA = "pip install 'tierwise[validators]'"


def json_schema(schema: dict[str, Any] | bool) -> Validator:
    """Check that the output is JSON of a schema.

    Every `pattern` is matched in time linear in the text, so that no text can hold the check up;
    that leaves lookaround and back references out. Nothing is fetched from elsewhere.

    Parameters
    ----------
    schema : dict or bool
        JSON Schema; its `$schema` names the draft, 2020-12 where it does not.

    Raises
    ------
    BadInput
        Where it is no schema, refers to another document, has a pattern that cannot be matched so,
        or jsonschema-rs is not installed.
    """
    try:
        import jsonschema_rs
    except ImportError:
        raise BadInput("no jsonschema-rs", "it for checks of JSON", _EXTRA) from None
    try:
        reader = jsonschema_rs.validator_for(
            schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except ValueError as error:
        raise BadInput(f"no JSON Schema: {error}"[:300], "one", "mend it") from None

    def check(output: Any) -> Check:
        value, broken = json_of(output)
        if broken is not None:
            return broken
        error = next(reader.iter_errors(value), None)
        if error is None:
            return PASS
        return fail(f"{'/'.join(map(str, error.instance_path)) or 'the whole'}: {error.message}")

    return check


def pydantic_model(model: type[BaseModel]) -> Validator:
    """Check that the output is JSON, or a dict, of a pydantic model; its validators run too.

    Raises
    ------
    BadInput
        Where pydantic is not installed.
    """
    try:
        from pydantic import ValidationError
    except ImportError:
        raise BadInput("no pydantic", "it for checks against models", _EXTRA) from None

    def check(output: Any) -> Check:
        value, broken = json_of(output)
        if broken is not None:
            return broken
        try:
            model.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            return fail(f"{'/'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}")
        return PASS

    return check
