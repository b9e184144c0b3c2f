// From the graph's numbers, or from rules alone, to the tier that serves: docs/gateways.md, step 6.
//
// What is known of a step, `at`: limits (of rules.mjs), the sets of tiers `called` (the call allows
// them), `out` (their vendors are out) and `may` (serve, by all three), pin (whether the call names
// the tier), limitS, limitRule, floorRule.

import { has, highest } from "./tiers.mjs";

/** {tier, reason, rule} where no graph was asked; tier -1 where none may serve. */
export function withoutGraph(book, at) {
  const { may, limits, out } = at;
  if (!may) return { tier: -1, reason: "none_allowed", rule: narrowedBy(book, at) };
  if (limits.tier < 0) { // the call names it
    return { tier: highest(may), reason: "pinned", rule: limits.pinned ? limits.rule : "call" };
  }
  const settled = limits.tier;
  const tier = has(may, settled) ? settled : book.standIn(settled, may, has(out, settled));
  if (limits.pinned) return { tier, reason: "pinned", rule: limits.rule };
  if (tier === settled) return { tier, reason: "fixed_role", rule: limits.rule };
  if (at.pin) return { tier, reason: "pinned", rule: "call" };
  return { tier, reason: "constrained", rule: narrowedBy(book, at) };
}

/** The same from what the graph said: `tier`, `reason`, and `seconds` of every tier. */
export function byGraph(book, at, { tier, reason, seconds }) {
  const slow = slower(seconds, at.limitS);
  if (tier === -1 && reason === "none_allowed") {
    return { tier, reason, rule: narrowedBy(book, at, slow) };
  }
  if (!(tier in book.tiers) || reason === undefined) throw new RangeError("no decision");
  if (has(at.out, tier)) { // it was asked as if no vendor were out
    const usable = at.may & ~slow;
    if (!usable) return { tier: -1, reason: "none_allowed", rule: "outage" };
    [tier, reason] = [book.standIn(tier, usable, true), "constrained"];
  } else if (!has(at.may, tier)) throw new RangeError("a tier that may not serve");
  if (reason !== "constrained") return { tier, reason, rule: at.floorRule };
  if (at.limits.pinned) reason = "pinned";
  return { tier, reason, rule: narrowedBy(book, at, slow) };
}

/** The tiers to ask the graph about: as if nobody were out, where failover is laid down. */
export function askedAbout(book, at) {
  const before = at.limits.may & at.called;
  return at.out && book.hasStandIn(at.out & before) ? before : at.may;
}

/** The tier to name where none is chosen: the fallback, but none that a rule leaves out. */
export function named({ may, tier }, fallback) {
  if (has(may, fallback)) return fallback;
  return tier >= 0 ? tier : highest(may);
}

/** The first rule, in the order of what holds over what, that takes a tier away. */
function narrowedBy(book, { limits, out, called, limitRule }, slow = 0) {
  if (limits.rule && (limits.pinned || limits.tier < 0)) return limits.rule;
  if (limits.may & out) return "outage";
  if (limits.may & ~called) return "call";
  if (limits.may & slow) return limitRule || "call";
  return limits.may === book.every ? "" : "forbidden_vendors";
}

function slower(seconds, limitS) {
  return seconds.reduce((tiers, one, place) => (one > limitS ? tiers | (1 << place) : tiers), 0);
}
