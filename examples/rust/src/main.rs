//! A tierwise bundle in Rust: verify every file, run every golden vector, decide under rules.
//!
//!     ORT_DYLIB_PATH=.../libonnxruntime.so \
//!     cargo run --release -- ../../artifacts/fleet/policy ../conformance [RULES.jsonl]
//!
//! RULES.jsonl is what ../conformance/rules.py writes. Exit code 0: all of it holds; 1: something
//! differs. docs/gateways.md says what a loader does; this one is the standard library and ONNX
//! Runtime, no crate.

mod bundle;
mod choose;
mod context;
mod golden;
mod json;
mod messages;
mod onnxruntime;
mod policy;
mod rules;
mod sha256;
mod tiers;

use json::Json;
use policy::{Decision, Policy};
use std::fs;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let found = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [bundle, vectors] => conformance(bundle, vectors, None),
        [bundle, vectors, rules] => conformance(bundle, vectors, Some(rules)),
        _ => Err("expected BUNDLE VECTORS [RULES.jsonl]".to_string()),
    };
    match found {
        Ok(true) => {}
        Ok(false) => std::process::exit(1),
        Err(error) => {
            println!("refused: {error}");
            std::process::exit(1);
        }
    }
}

/// Print what agrees; return whether all of it does.
fn conformance(bundle: &str, vectors: &str, ruled: Option<&str>) -> Result<bool, String> {
    let lines = |name: &str| parsed(&Path::new(vectors).join(name));
    let mut holds = report("texts", check_all(&lines("texts.jsonl")?, check_text)?);
    holds &= report("contexts", check_all(&lines("contexts.jsonl")?, check_context)?);
    let policy = Policy::load(Path::new(bundle))?;
    policy.router(&policy.manifest)?; // its rules are such as are applied here
    let version = policy.manifest.get("policy_version")?.text()?;
    let (count, digest) = (policy.examples, &policy.digest);
    println!("golden vectors: {count} of {count} agree, policy {version}, manifest {digest}");
    if let Some(ruled) = ruled {
        let mut found = Vec::new();
        for set in parsed(Path::new(ruled))? {
            found.extend(under_rules(&policy, &set)?);
        }
        holds &= report("decisions under rules", found);
    }
    Ok(holds)
}

fn parsed(file: &Path) -> Result<Vec<Json>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.lines().map(Json::parse).collect()
}

fn report(what: &str, found: Vec<bool>) -> bool {
    let agree = found.iter().filter(|one| **one).count();
    println!("{what}: {agree} of {} agree", found.len());
    agree == found.len()
}

fn check_all(
    vectors: &[Json],
    check: fn(&Json) -> Result<bool, String>,
) -> Result<Vec<bool>, String> {
    vectors.iter().map(check).collect()
}

fn check_text(vector: &Json) -> Result<bool, String> {
    let text = messages::text_of(vector.get("messages")?)?.into_bytes();
    let wanted = golden::base64(vector.get("text")?.text()?)?;
    let length = Json::Number(text.len() as f64);
    Ok(messages::cap(&text) == wanted && vector.get("text_bytes")? == &length)
}

fn check_context(vector: &Json) -> Result<bool, String> {
    let length = vector.get("text_bytes")?.real()? as usize;
    let given = rules::pairs(vector.get("given")?)?;
    let (row, ignored) = context::row(vector.get("columns")?.list()?, length, given)?;
    let same = row
        .iter()
        .zip(vector.get("row")?.reals()?)
        .all(|(number, wanted)| *number == wanted as f32 || (number.is_nan() && wanted.is_nan()));
    Ok(same && ignored == rules::words(vector.get("ignored")?)?)
}

/// Decide every step of a line with its rules and outages in place of the bundle's own.
fn under_rules(policy: &Policy, set: &Json) -> Result<Vec<bool>, String> {
    let mut router = policy.router(set)?;
    router.set_outages(&rules::words(set.get("outages")?)?)?;
    let check = |one: &Json| {
        let got = router.decide(one.get("step")?, one.get("asked")?);
        same(&got, one.get("decision")?)
    };
    set.get("steps")?.list()?.iter().map(check).collect()
}

fn same(got: &Decision, wanted: &Json) -> Result<bool, String> {
    let next = got.next_tier.clone().map_or(Json::Null, Json::Text);
    Ok(wanted.get("tier")?.text()? == got.tier
        && wanted.get("reason")?.text()? == got.reason
        && wanted.get("rule")?.text()? == got.rule
        && wanted.get("next_tier")? == &next
        && rules::words(wanted.get("allowed")?)? == got.allowed
        && rules::words(wanted.get("ignored")?)? == got.ignored)
}
