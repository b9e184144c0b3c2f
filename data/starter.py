"""The files a new folder starts from: a tier catalogue, a role table, rules, the parameters."""

from __future__ import annotations

from pathlib import Path

TIERS = """\
# Your tiers, from cheap to dear: two to sixteen. A step belongs to the tier whose name, model or
# glob it carries. Prices are USD per million tokens; the ones below are invented.
tiers:
  - name: small
    models: [small-model*]
    price_in: 0.15
    price_cached: 0.03
    price_out: 0.60
  - name: mid
    models: [mid-model*]
    price_in: 1.00
    price_cached: 0.10
    price_out: 4.00
  - name: frontier
    models: [frontier-model*]
    price_in: 5.00
    price_cached: 0.50
    price_out: 25.00
  # A model at another reasoning effort is a tier of its own:
  # - {name: frontier-high, models: [frontier-model*], effort: high, price_in: 5.0, price_out: 25.0}
  # A model of your own is paid by the hour; capacity is the steps an hour that this pays for:
  # - {name: own, models: [my-model], procurement: self_hosted, cost_per_hour: 2.5, capacity: 4000}
"""

ROLES = """\
# A tier for each role, before anything is learned: small, mid, frontier, or the name of a tier.
# `default` is for every other role and for steps whose role is unknown.
default: mid
roles:
  planner: frontier
  worker: mid
  extract: small
"""

RULES = """\
# Rules that no score can break; tierwise rules apply POLICY rules.yaml puts them into a bundle.
# Take the marks away from what is to hold. What holds over what: docs/rules.md.
#
# pins:                            # these steps, these tiers, whatever the policy says
#   - name: plans
#     role: planner                # or tenant, data_class, task_type: a word or a list of words
#     tier: frontier               # serves, and the policy is not asked
#     why: a bad plan spoils all that follows
#   - name: personal data
#     data_class: personal
#     allowed: [small, mid]        # the policy chooses, among these only
#     unless: {role: planner}
# forbidden_vendors: [vendor-x]    # as `vendor` in tiers.yaml
# failover: {vendor-a: [vendor-b]} # who takes the steps of a vendor that is out
# fixed_roles: {extract: small}    # the policy is not asked
# frontier_only_for: [user_visible, irreversible]
# floors: {worker: 0.97}           # a call may ask for a stricter one, never for a looser one
# latency_s: {interactive: 10, batch: 600}
# budgets:                         # USD over the role table's tiers
#   default: {usd: 1, usd_per_day: 10}
#   role_table: {default: mid, roles: {planner: frontier}}
# explore: {rate: 0.02, usd_per_day: 5}
"""

PARAMS = """\
# One section a stage. A key that no stage knows is an error that names the nearest one; a key that
# is not here has its default.
ingest:
  max_reject_share: 0.05 # above this share of rejected rows the stage fails
certify:
  level: 0.95 # keep this share of the reference tier's mean quality ...
  delta: 0.1 # ... with probability 1 - delta
"""


def write_starter(folder: Path) -> tuple[list[str], list[str]]:
    """Write the files that are not there yet; what is there is never changed.

    Parameters
    ----------
    folder : Path
        An existing folder.

    Returns
    -------
    written, kept : list of str
        Names of files.
    """
    written, kept = [], []
    texts = {
        "tiers.yaml": TIERS, "roles.yaml": ROLES, "rules.yaml": RULES, "params.yaml": PARAMS,
    }  # fmt: skip
    for name, text in texts.items():
        try:
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            kept.append(name)
        else:
            written.append(name)
    return written, kept
