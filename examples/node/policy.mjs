// A tierwise policy in Node: verified on load, decided by the graph, never an error per step.
//
//   const policy = await Policy.load("artifacts/fleet/policy");
//   const { tier, reason, rule } = await policy.decide(messages, { role: "worker", tenant: "acme" });

import ort from "onnxruntime-node";
import { BundleError, readBundle } from "./bundle.mjs";
import { askedAbout, byGraph, named, withoutGraph } from "./choose.mjs";
import { contextRow } from "./context.mjs";
import { withoutDefaults } from "./defaults.mjs";
import { cap, textOf, utf8 } from "./messages.mjs";
import { RuleBook } from "./rules.mjs";
import { has, highest, lowest } from "./tiers.mjs";

const OPTIONAL = ["allowed", "floor", "max_latency_s"];
const SESSION = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 };
const HEAD = 8; // numbers before the blocks of one number a tier
const EXACT = ["tier", "reason", "point", "next_tier"];
const TOLERANCE = 1e-4;

export class Policy {
  outages = new Set();

  constructor(manifest, digest, session) {
    this.manifest = manifest;
    this.digest = digest;
    this.session = session;
    this.book = new RuleBook(manifest);
    this.tiers = this.book.tiers;
  }

  /** Verify a bundle and open it; `trust` may hold `digest` and `publicKey`, see bundle.mjs. */
  static async load(folder, trust) {
    const { manifest, digest, files } = readBundle(folder, trust);
    const model = withoutDefaults(files.policy, OPTIONAL);
    const session = await ort.InferenceSession.create(model, SESSION);
    const policy = new Policy(manifest, digest, session);
    policy.examples = await policy.checkGolden(files.golden.toString("utf8"));
    return policy;
  }

  /** Say that a vendor is out, or is back. */
  setOutage(vendor, out = true) {
    if (out) this.outages.add(this.book.known(vendor));
    else this.outages.delete(vendor);
  }

  /**
   * Decide a step, a text or messages; on any fault the fallback tier, reason `fallback`. `asked`
   * holds role, tenant, dataClass, pin, allowed, floor, maxLatencyS, and columns of the context.
   */
  async decide(step, asked) {
    const out = this.book.ofVendors([...this.outages]);
    const at = { limits: this.book.open, called: this.book.every, out, pin: false, ignored: [] };
    at.may = at.limits.may & ~out;
    try {
      const numbers = await this.consider(at, step, asked ?? {});
      if (numbers === null) return this.answer(at, withoutGraph(this.book, at));
      return this.answer(at, byGraph(this.book, at, this.read(numbers)), numbers);
    } catch {
      let tier = named(at.limits, this.tiers.indexOf(this.manifest.fallback));
      if (at.may && !has(at.may, tier)) tier = highest(at.may); // a pin holds in a fault too
      return this.without(at, tier, "fallback", at.limits.pinned ? at.limits.rule : "");
    }
  }

  /** Find out what holds for a step; return what the graph says of it, null where it is not asked. */
  async consider(at, step, asked) {
    const { role, tenant, dataClass, pin, allowed, floor, maxLatencyS, ...context } = asked;
    at.limits = this.book.limits(role, tenant, dataClass, context);
    at.may = at.limits.may & ~at.out;
    if (pin !== undefined && pin !== null) {
      at.called = 1 << this.book.place(pin);
      at.pin = true;
    }
    if (allowed !== undefined && allowed !== null) {
      const names = typeof allowed === "string" ? [allowed] : [...allowed];
      at.called &= this.book.setOf(names.filter((name) => this.tiers.includes(name)));
    }
    at.may &= at.called;
    if (at.limits.tier >= 0 || at.pin) return null;
    const text = utf8(textOf(step));
    const { row, ignored } = contextRow(this.manifest.context, text.length, { ...context, role });
    at.ignored = ignored;
    [at.floor, at.floorRule] = this.book.floor(role, finite(floor));
    [at.limitS, at.limitRule] = this.book.limit(context.workload, notNan(maxLatencyS));
    if (!at.may) return null;
    const tiers = askedAbout(this.book, at);
    const mask = this.tiers.map((_, place) => Number(has(tiers, place)));
    const limits = { allowed: mask, floor: at.floor, maxLatencyS: at.limitS };
    return (await this.run(cap(text), row, limits)).decision;
  }

  /** Run the graph. NaN is no floor of the caller's own, infinity no limit. */
  async run(text, context, { allowed, floor, maxLatencyS }) {
    const ones = () => this.tiers.map(() => 1);
    const tensor = (type, data, dims) => new ort.Tensor(type, data, dims);
    const { decision, ids } = await this.session.run({
      text: tensor("uint8", Uint8Array.from(text), [text.length]),
      context: tensor("float32", context, [1, context.length]),
      allowed: tensor("float32", Float32Array.from(allowed ?? ones()), [1, this.tiers.length]),
      floor: tensor("float32", Float32Array.of(floor ?? NaN), [1]),
      max_latency_s: tensor("float32", Float32Array.of(maxLatencyS ?? Infinity), [1]),
    });
    return { decision: Array.from(decision.data), ids: Array.from(ids.data, Number) };
  }

  read(numbers) {
    const { outputs, reasons, rule } = this.manifest;
    const of = (name) => numbers.slice(outputs[name], outputs[name] + this.tiers.length);
    // A role table has no scores; where one is NaN, which tier the graph serves is not defined.
    const scored = Object.keys(rule ?? {}).length ? [...of("quality"), ...of("total_cost_usd")] : [];
    if (![numbers[outputs.lead], ...scored].every(Number.isFinite)) throw new RangeError("NaN");
    return {
      tier: numbers[outputs.tier],
      reason: reasons[numbers[outputs.reason]],
      seconds: of("latency_s"),
    };
  }

  answer(at, { tier, reason, rule }, numbers) {
    if (tier === -1) {
      const other = named(at.limits, this.tiers.indexOf(this.manifest.fallback));
      return this.without(at, other, reason, rule);
    }
    const { outputs } = this.manifest;
    const asked = numbers !== undefined && numbers[outputs.tier] === tier;
    const found = this.without(at, tier, reason, rule);
    found.nextTier = this.next(at.may, tier, asked ? numbers[outputs.next_tier] : -1);
    if (numbers === undefined) return found;
    return {
      ...found,
      quality: numbers[outputs.quality + tier],
      costUsd: numbers[outputs.cost_usd + tier],
      totalCostUsd: numbers[outputs.total_cost_usd + tier],
      lead: asked ? numbers[outputs.lead] : NaN, // it is about the graph's tier
      ood: numbers[outputs.ood],
      check: asked && numbers[outputs.check] > 0,
    };
  }

  /** Where to go after a failed check: the ladder's rung, or the next that may serve. */
  next(may, tier, following) {
    const next = has(may, following) ? following : lowest(may & ~((2 << tier) - 1));
    return this.tiers[next] ?? null;
  }

  without(at, tier, reason, rule) {
    return {
      ...{ tier: this.tiers[tier], reason, rule, policyVersion: this.manifest.policy_version },
      ...{ ignored: at.ignored, allowed: this.book.names(at.may) },
      ...{ quality: NaN, costUsd: NaN, totalCostUsd: NaN, lead: NaN, ood: NaN },
      ...{ nextTier: null, check: false },
    };
  }

  /** Run every example of golden.jsonl; return how many, throw a BundleError at the first miss. */
  async checkGolden(lines) {
    const examples = lines.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    if (examples.length === 0) throw new BundleError("golden.jsonl: no examples");
    for (const [index, one] of examples.entries()) {
      const text = Buffer.from(one.text, "base64");
      const context = Float32Array.from(one.context, real);
      const limits = { floor: one.floor ?? NaN, maxLatencyS: one.max_latency_s ?? Infinity };
      const got = await this.run(text, context, { allowed: one.allowed?.map(real), ...limits });
      const sameIds = got.ids.join() === one.ids.join();
      if (!sameIds || !this.same(got.decision, one.decision.map(real))) {
        throw new BundleError(`golden.jsonl: other ids or decision for example ${index + 1}`);
      }
    }
    return examples.length;
  }

  same(got, wanted) {
    if (got.length !== wanted.length || got.length !== HEAD + 4 * this.tiers.length) return false;
    const exact = EXACT.map((name) => this.manifest.outputs[name]);
    return got.every((number, place) => {
      if (Object.is(number, wanted[place]) || number === wanted[place]) return true;
      const near = Math.abs(number - wanted[place]) <= TOLERANCE * (1 + Math.abs(wanted[place]));
      return near && !exact.includes(place); // false where one of them is NaN
    });
  }
}

/** A number of golden.jsonl: null is NaN, an infinity is the word for it. */
const real = (one) => (one === null ? NaN : one === "inf" ? Infinity : one === "-inf" ? -Infinity : one);

// A limit that cannot be read must not loosen anything, so it throws and the fallback serves.
function finite(value) {
  if (value === undefined || value === null) return undefined;
  if (!Number.isFinite(value)) throw new RangeError("floor");
  return value;
}

function notNan(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || Number.isNaN(value)) throw new RangeError("maxLatencyS");
  return value;
}
