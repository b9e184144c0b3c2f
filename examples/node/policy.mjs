// A tierwise policy in Node: verified on load, decided by the graph, never an error per step.
//
//   const policy = await Policy.load("artifacts/fleet/policy");
//   const { tier, reason } = await policy.decide(messages, { role: "worker" });

import ort from "onnxruntime-node";
import { BundleError, readBundle } from "./bundle.mjs";
import { contextRow } from "./context.mjs";
import { withoutDefaults } from "./defaults.mjs";
import { cap, textOf, utf8 } from "./messages.mjs";

const OPTIONAL = ["allowed", "floor", "max_latency_s"];
const SESSION = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 };
const HEAD = 8; // numbers before the blocks of one number a tier
const EXACT = ["tier", "reason", "point", "next_tier"];
const TOLERANCE = 1e-4;

export class Policy {
  constructor(manifest, digest, session) {
    this.manifest = manifest;
    this.digest = digest;
    this.tiers = manifest.tiers.map((tier) => tier.name);
    this.session = session;
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

  /** Decide a step, a text or messages; on any fault the fallback tier, reason `fallback`. */
  async decide(step, { role, allowed, floor, maxLatencyS, ...context } = {}) {
    let [mask, ignored] = [null, []];
    try {
      const text = utf8(textOf(step));
      const given = role === undefined ? context : { ...context, role };
      const found = contextRow(this.manifest.context, text.length, given);
      ignored = found.ignored;
      if (allowed) mask = this.tiers.map((name) => Number([allowed].flat().includes(name)));
      const limits = { floor: finite(floor), maxLatencyS: notNan(maxLatencyS) };
      const { decision } = await this.run(cap(text), found.row, { allowed: mask, ...limits });
      return this.read(decision, ignored, mask ?? this.tiers.map(() => 1));
    } catch {
      let tier = this.tiers.indexOf(this.manifest.fallback);
      // A pin holds in a fault too: the dearest of the allowed.
      if (mask && !mask[tier] && mask.includes(1)) tier = mask.lastIndexOf(1);
      return this.without(tier, "fallback", ignored);
    }
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

  read(decision, ignored, may) {
    const { outputs, reasons } = this.manifest;
    const tier = decision[outputs.tier];
    let next = decision[outputs.next_tier]; // a retry keeps to the allowed tiers too
    if (!may[next]) next = may.findIndex((one, place) => one && place > tier);
    const reason = reasons[decision[outputs.reason]];
    if (tier === -1 && reason === "none_allowed") {
      return this.without(this.tiers.indexOf(this.manifest.fallback), reason, ignored);
    }
    if (!(tier in this.tiers) || reason === undefined) throw new RangeError("no decision");
    return {
      ...this.without(tier, reason, ignored),
      quality: decision[outputs.quality + tier],
      costUsd: decision[outputs.cost_usd + tier],
      totalCostUsd: decision[outputs.total_cost_usd + tier],
      lead: decision[outputs.lead],
      ood: decision[outputs.ood],
      nextTier: this.tiers[next] ?? null,
      check: decision[outputs.check] > 0,
    };
  }

  without(tier, reason, ignored) {
    return {
      ...{ tier: this.tiers[tier], reason, policyVersion: this.manifest.policy_version, ignored },
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
  if (value !== undefined && !Number.isFinite(value)) throw new RangeError("floor");
  return value;
}

function notNan(value) {
  if (value !== undefined && (typeof value !== "number" || Number.isNaN(value))) {
    throw new RangeError("maxLatencyS");
  }
  return value;
}
