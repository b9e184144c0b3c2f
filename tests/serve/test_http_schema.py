"""Requests made from the sidecar's own OpenAPI, good ones and bad ones: it never breaks on one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.serve.sidecars import Sidecar, sidecar
from tierwise.serve import Router

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
OPERATIONS = [
    ("POST", "/v1/route"),
    ("POST", "/v1/route/batch"),
    ("POST", "/v1/outcome"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


@pytest.fixture(scope="module")
def served(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("sidecar")
    router = Router.load(bundle_folder)
    with sidecar(router, folder / "log", outcomes=folder / "outcomes") as running:
        yield running


@pytest.fixture(scope="module")
def schema(served: Sidecar) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{served.port}/openapi.json")


def test_openapi_describes_every_endpoint_and_no_other(schema: Any) -> None:
    found = [operation.ok() for operation in schema.get_all_operations()]
    assert [(one.method.upper(), one.path) for one in found] == OPERATIONS


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        *((*operation, GenerationMode.POSITIVE) for operation in OPERATIONS),
        *((*operation, GenerationMode.NEGATIVE) for operation in OPERATIONS[:3]),
    ],
)
def test_no_request_breaks_it_and_answers_are_as_described(
    schema: Any, method: str, path: str, mode: GenerationMode
) -> None:
    bounds = settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    @bounds
    @given(schema[path][method].as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    check()
