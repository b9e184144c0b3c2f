"""How gateways use a policy: load, decide, fall back."""

from tierwise.router_model.bundle import BundleError
from tierwise.serve.decision import Decision
from tierwise.serve.explanation import Explanation
from tierwise.serve.router import Router

__all__ = ["BundleError", "Decision", "Explanation", "Router"]
