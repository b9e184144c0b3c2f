"""How gateways use a policy: load, decide, fall back."""
