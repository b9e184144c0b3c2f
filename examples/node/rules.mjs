// Which tiers may serve a step, by the rules people set: docs/gateways.md, step 6.

import { BundleError } from "./bundle.mjs";
import { has, highest, nearest } from "./tiers.mjs";

const VERSION = 1;
const WORDS = ["role", "tenant", "data_class", "task_type"];
const FLAGS = ["irreversible", "user_visible"];
const APPLIED = {
  version: isVersion,
  pins: (value) => isList(value, isPin),
  forbidden_vendors: isWords,
  floors: (value) => isMap(value, isNumber),
  latency_s: (value) => isMap(value, isNumber),
  failover: (value) => isMap(value, isWords),
  frontier_only_for: (value) => isList(value, (flag) => FLAGS.includes(flag)),
  fixed_roles: (value) => isMap(value, isWord),
  new_roles: isWords,
  // These need what was spent so far, of all processes together: not this loader's.
  budgets: isEmpty,
  explore: isEmpty,
};
const OPEN = { tier: -1, rule: "", pinned: false };

export class RuleBook {
  /** Throws a BundleError where a rule is not such as `tierwise rules apply` compiles. */
  constructor(manifest) {
    const rules = checked(manifest.rules);
    this.tiers = manifest.tiers.map((tier) => tier.name);
    this.vendors = manifest.tiers.map((tier) => tier.vendor ?? null);
    this.every = 2 ** this.tiers.length - 1;
    this.standing = this.every & ~this.ofVendors(rules.forbidden_vendors ?? []);
    this.open = { ...OPEN, may: this.standing };
    this.floors = new Map(Object.entries(rules.floors ?? {}));
    this.latency = new Map(Object.entries(rules.latency_s ?? {}));
    this.reserved = rules.frontier_only_for ?? [];
    const named = this.tiers.indexOf("frontier");
    this.frontier = 1 << (named === -1 ? this.tiers.length - 1 : named);
    this.fixed = new Map(
      Object.entries(rules.fixed_roles ?? {}).map(([role, tier]) => [role, this.place(tier)]),
    );
    this.pins = inOrder(rules.pins ?? []).map((pin) => ({
      ...pin,
      may: this.setOf(pin.allowed),
      tier: pin.tier === null ? -1 : this.place(pin.tier),
    }));
    this.standsIn = new Map(
      Object.entries(rules.failover ?? {}).map(([vendor, others]) => [
        this.known(vendor),
        others.map((other) => this.ofVendors([other])),
      ]),
    );
  }

  /** What rules say of a step: {may, tier, rule, pinned}; tier -1 where the graph is asked. */
  limits(role, tenant, dataClass, context) {
    const words = [role, tenant, dataClass, context.task_type].map(word);
    const pins = this.pins.filter((pin) => meets(pin, words, context));
    const fixed = this.fixed.get(words[0]);
    if (pins.length > 0) {
      const found = this.ofPins(pins);
      const open = fixed !== undefined && found.tier === -1;
      return open ? { ...found, tier: nearest(fixed, found.may) } : found;
    }
    if (fixed !== undefined) {
      return { ...this.open, tier: fixed, rule: `fixed_roles.${words[0]}` };
    }
    if (this.reserved.length > 0 && !this.reserved.some((name) => flag(context[name]))) {
      return { ...this.open, may: this.standing & ~this.frontier, rule: "frontier_only_for" };
    }
    return this.open;
  }

  ofPins(pins) {
    const may = pins.reduce((tiers, pin) => tiers & pin.may, this.standing);
    const first = pins.find((pin) => pin.tier !== -1) ?? pins[0];
    let tier = first.tier;
    // One tier is left to choose from; or none, where three pins agree in pairs only.
    if (tier === -1 && (may & (may - 1)) === 0) tier = highest(may || pins[0].may);
    return { may, tier, rule: first.name, pinned: true };
  }

  /** The stricter of the role's floor and the call's, and the rule's name if it is. */
  floor(role, asked) {
    const least = this.floors.get(word(role));
    if (least === undefined || asked > least) return [asked, ""];
    return [least, `floors.${word(role)}`];
  }

  /** The stricter of the workload's limit and the call's, in seconds, and the rule's name. */
  limit(workload, asked) {
    const most = this.latency.get(word(workload));
    if (most === undefined || asked < most) return [asked, ""];
    return [most, `latency_s.${word(workload)}`];
  }

  /** Who of some tiers (not empty) serves in place of one that may not; `out`: its vendor is. */
  standIn(tier, tiers, out) {
    const inTurn = out ? this.standsIn.get(this.vendors[tier]) ?? [] : [];
    const others = inTurn.find((one) => (one & tiers) !== 0) ?? this.every;
    return nearest(tier, tiers & others);
  }

  /** Whether an order of failover is laid down for a vendor of some tiers. */
  hasStandIn(tiers) {
    return [...this.standsIn.keys()].some((vendor) => (this.ofVendors([vendor]) & tiers) !== 0);
  }

  ofVendors(names) {
    names.forEach((name) => this.known(name));
    return this.tiers.reduce(
      (found, _, place) => (names.includes(this.vendors[place]) ? found | (1 << place) : found),
      0,
    );
  }

  known(vendor) {
    if (!this.vendors.includes(vendor)) throw new BundleError(`vendor ${vendor} in rules`);
    return vendor;
  }

  place(tier) {
    const place = this.tiers.indexOf(tier);
    if (place === -1) throw new BundleError(`tier ${tier} in rules`);
    return place;
  }

  setOf(names) {
    return names.reduce((found, name) => found | (1 << this.place(name)), 0);
  }

  names(tiers) {
    return this.tiers.filter((_, place) => has(tiers, place));
  }
}

/** A text as it is, "" for anything else: what is no text is unknown, and meets no condition. */
export const word = (value) => (typeof value === "string" ? value : "");

/** True, or there and not to be read: what hangs on it errs on the safe side. */
export function flag(value) {
  if (value === undefined || value === null) return false;
  const readable = typeof value === "boolean" || typeof value === "number";
  return readable ? value !== false && value !== 0 && !Number.isNaN(value) : true;
}

function meets(pin, words, context) {
  return WORDS.every((key, place) => {
    const spared = pin.unless?.[key]?.includes(words[place]);
    return !spared && (pin[key] === undefined || pin[key].includes(words[place]));
  }) && FLAGS.every((key) => pin[key] === undefined || flag(context[key]));
}

/** Pins as decisions name the first of several: docs/gateways.md has the order in words. */
function inOrder(pins) {
  const key = (pin) => WORDS.findIndex((name) => pin[name] !== undefined);
  const keys = [...new Set(pins.map(key))].filter((place) => place !== -1);
  return [...keys, -1].flatMap((place) => pins.filter((pin) => key(pin) === place));
}

function checked(rules) {
  if (!isList(rules, isObject) || rules.length > 1) throw new BundleError("rules: not one object");
  for (const [key, value] of Object.entries(rules[0] ?? {})) {
    if (!Object.hasOwn(APPLIED, key)) throw new BundleError(`rules: ${key}, unknown here`);
    if (!APPLIED[key](value)) {
      throw new BundleError(`rules: ${key}, of a form that this loader does not apply`);
    }
  }
  return rules[0] ?? {};
}

function isPin(pin) {
  const keys = ["name", "tier", "allowed", "why", "unless", ...WORDS, ...FLAGS];
  return isObject(pin) && Object.keys(pin).every((key) => keys.includes(key))
    && isWord(pin.name) && (pin.tier === null || isWord(pin.tier))
    && isWords(pin.allowed) && pin.allowed.length > 0
    && (pin.tier === null || pin.allowed.includes(pin.tier))
    && isMap(pin.unless ?? {}, isWords)
    && Object.keys(pin.unless ?? {}).every((key) => WORDS.includes(key))
    && WORDS.every((key) => pin[key] === undefined || isWords(pin[key]))
    && FLAGS.every((key) => pin[key] === undefined || pin[key] === true)
    && [...WORDS, ...FLAGS].some((key) => pin[key] !== undefined);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value, holds) {
  return Array.isArray(value) && value.every(holds);
}

function isMap(value, holds) {
  return isObject(value) && Object.values(value).every(holds);
}

function isWord(value) {
  return typeof value === "string";
}

function isWords(value) {
  return isList(value, isWord);
}

function isNumber(value) {
  return typeof value === "number" && value >= 0;
}

function isVersion(value) {
  return value === VERSION;
}

function isEmpty(value) {
  return isMap(value, () => false);
}
