// Everything a loader has to get right: node conformance.mjs BUNDLE VECTORS [RULES.jsonl]
// RULES.jsonl is what ../conformance/rules.py writes. Exit code 0: all of it holds; 1: something
// differs.

import fs from "node:fs";
import path from "node:path";
import { contextRow } from "./context.mjs";
import { cap, textOf, utf8 } from "./messages.mjs";
import { Policy } from "./policy.mjs";

const [bundle, vectors, ruled] = process.argv.slice(2);
if (!vectors) {
  console.error("two folders are needed: node conformance.mjs BUNDLE VECTORS [RULES.jsonl]");
  process.exit(2);
}
const parsed = (file) =>
  fs.readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const lines = (name) => parsed(path.join(vectors, name));

let failed = 0;
function report(what, results) {
  for (const [name, holds] of results) {
    if (!holds) console.log(`differs: ${what}, ${name}`);
    failed += Number(!holds);
  }
  console.log(`${what}: ${results.filter(([, holds]) => holds).length} of ${results.length} agree`);
}

report("texts", lines("texts.jsonl").map((one) => {
  const bytes = utf8(textOf(one.messages));
  const same = cap(bytes).toString("base64") === one.text && bytes.length === one.text_bytes;
  return [one.name, same];
}));

report("contexts", lines("contexts.jsonl").map((one) => {
  const { row, ignored } = contextRow(one.columns, one.text_bytes, one.given);
  const wanted = Float32Array.from(one.row, (value) => value ?? NaN);
  const same = row.every((value, place) => Object.is(value, wanted[place]));
  return [one.name, same && ignored.join() === one.ignored.join()];
}));

/** Decide every step with rules and outages in place of the bundle's own. */
async function underRules(policy, sets) {
  const results = [];
  for (const [number, { tiers, rules, outages, steps }] of sets.entries()) {
    const other = new Policy({ ...policy.manifest, tiers, rules }, policy.digest, policy.session);
    outages.forEach((vendor) => other.setOutage(vendor));
    for (const [place, { step, asked, decision }] of steps.entries()) {
      const { data_class: dataClass, max_latency_s: maxLatencyS, ...rest } = asked;
      const { nextTier, ...got } = await other.decide(step, { ...rest, dataClass, maxLatencyS });
      const found = { ...got, next_tier: nextTier };
      const own = Object.keys(decision).map((name) => found[name]);
      const holds = JSON.stringify(own) === JSON.stringify(Object.values(decision));
      results.push([`line ${number + 1}, step ${place + 1}: ${JSON.stringify(own)}`, holds]);
    }
  }
  return results;
}

try {
  const policy = await Policy.load(bundle);
  console.log(`golden vectors: ${policy.examples} of ${policy.examples} agree, policy ` +
    `${policy.manifest.policy_version}, manifest ${policy.digest}`);
  const decision = await policy.decide("Extract the invoice date", { role: "worker" });
  console.log(JSON.stringify({ tier: decision.tier, reason: decision.reason }));
  if (ruled) report("decisions under rules", await underRules(policy, parsed(ruled)));
} catch (error) {
  console.log(`golden vectors: ${error.message}`);
  failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
