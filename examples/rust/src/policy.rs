//! A policy: verified on load, decided by rules and graph, never an error per step.

use crate::bundle::{read_manifest, read_role, ROLES};
use crate::choose::{Asked, Choice};
use crate::json::Json;
use crate::messages::{cap, text_of};
use crate::onnxruntime::Session;
use crate::rules::{pairs, word, words, RuleBook, Said};
use crate::tiers::{cheapest, dearest, has, Set};
use crate::{context, golden};
use std::path::Path;

/// Names in `asked` that are arguments of their own; the others are columns of the context.
const ARGUMENTS: [&str; 7] =
    ["role", "tenant", "data_class", "pin", "allowed", "floor", "max_latency_s"];

pub struct Policy {
    pub manifest: Json,
    pub digest: String,
    pub examples: usize,
    session: Session,
}

/// A policy with the rules of its manifest, or with others in their place.
pub struct Router<'a> {
    policy: &'a Policy,
    book: RuleBook,
    fallback: usize,
    out: Set,
}

pub struct Decision {
    pub tier: String,
    pub reason: String,
    pub rule: String,
    pub next_tier: Option<String>,
    pub allowed: Vec<String>,
    pub ignored: Vec<String>,
}

impl Policy {
    pub fn load(folder: &Path) -> Result<Policy, String> {
        let (manifest, digest) = read_manifest(folder)?;
        let [policy, golden] = ROLES.map(|role| read_role(folder, &manifest, role));
        let library = std::env::var("ORT_DYLIB_PATH").map_err(|_| "no ORT_DYLIB_PATH")?;
        let session = Session::open(&library, &policy?)?;
        let lines = String::from_utf8(golden?).map_err(|error| error.to_string())?;
        let examples = golden::check(&session, &manifest, &lines)?;
        Ok(Policy { manifest, digest, examples, session })
    }

    /// `rules` has the fields `tiers` and `rules`: the manifest, or what is in place of it.
    pub fn router(&self, rules: &Json) -> Result<Router<'_>, String> {
        let book = RuleBook::read(rules)?;
        let fallback = book.place(self.manifest.get("fallback")?.text()?)?;
        Ok(Router { policy: self, book, fallback, out: 0 })
    }
}

impl Router<'_> {
    /// Say which vendors are out.
    pub fn set_outages(&mut self, vendors: &[String]) -> Result<(), String> {
        self.out = self.book.of_vendors(vendors)?;
        Ok(())
    }

    /// Decide a step, a text or messages; on any fault the fallback tier, reason `fallback`.
    pub fn decide(&self, step: &Json, asked: &Json) -> Decision {
        let mut at = Asked::new(&self.book, self.out);
        self.made(&mut at, step, asked).unwrap_or_else(|_| {
            let named = at.named(self.fallback);
            // A pin holds in a fault too.
            let tier = if has(at.may, named) { named } else { dearest(at.may).unwrap_or(named) };
            let rule = if at.rule.pinned { at.rule.name.clone() } else { String::new() };
            self.decision(&at, tier, "fallback".to_string(), rule, None)
        })
    }

    fn made(&self, at: &mut Asked, step: &Json, asked: &Json) -> Result<Decision, String> {
        let numbers = self.consider(at, step, asked)?;
        let outputs = self.policy.manifest.get("outputs")?;
        let place = |name: &str| outputs.get(name)?.real().map(|one| one as usize);
        let tier_in = |name: &str| -> Result<Option<usize>, String> {
            let number = if numbers.is_empty() { -1.0 } else { numbers[place(name)?] };
            let known = (0..self.book.tiers.len()).find(|tier| *tier as f32 == number);
            (known.is_some() || number == -1.0).then_some(known).ok_or(format!("{name} {number}"))
        };
        let choice = if numbers.is_empty() {
            at.without_graph(&self.book)
        } else {
            let reasons = self.policy.manifest.get("reasons")?.list()?;
            let reason = reasons.get(numbers[place("reason")?] as usize).ok_or("no reason")?;
            let of = |name: &str| -> Result<&[f32], String> {
                let start = place(name)?;
                numbers.get(start..start + self.book.tiers.len()).ok_or(format!("no {name}"))
            };
            // A role table has no scores; where one is NaN, the graph's tier is not defined.
            let rule = self.policy.manifest.get("rule").and_then(|rule| rule.get("reference"));
            let mut scored = vec![numbers[place("lead")?]];
            if rule.is_ok() {
                scored.extend([of("quality")?, of("total_cost_usd")?].concat());
            }
            if !scored.iter().all(|one| one.is_finite()) {
                return Err("an estimate is no number".to_string());
            }
            at.by_graph(&self.book, tier_in("tier")?, reason.text()?, of("latency_s")?)?
        };
        let Choice { tier: Some(tier), reason, rule } = choice else {
            let tier = at.named(self.fallback);
            return Ok(self.decision(at, tier, choice.reason, choice.rule, None));
        };
        // Where to go after a failed check: the ladder's rung, or the next that may serve.
        let rung = if tier_in("tier")? == Some(tier) { tier_in("next_tier")? } else { None };
        let dearer = cheapest(at.may >> tier >> 1 << 1 << tier);
        let next = rung.filter(|rung| has(at.may, *rung)).or(dearer);
        Ok(self.decision(at, tier, reason, rule, next))
    }

    /// Find out what holds for a step; return what the graph says of it, nothing if not asked.
    fn consider(&self, at: &mut Asked, step: &Json, asked: &Json) -> Result<Vec<f32>, String> {
        let given = |name: &str| asked.get(name).ok().filter(|one| **one != Json::Null);
        at.rule = self.book.rule(&Said::of(asked));
        at.may = at.rule.may & !at.out;
        if let Some(pin) = given("pin") {
            at.called = 1 << self.book.place(pin.text()?)?;
            at.pin = true;
        }
        if let Some(allowed) = given("allowed") {
            let names = allowed.text().map(|name| vec![name.to_string()]);
            let names = names.or_else(|_| words(allowed))?;
            let known = names.iter().filter_map(|name| self.book.place(name).ok());
            at.called &= known.fold(0, |set, tier| set | 1 << tier);
        }
        at.may &= at.called;
        if at.settled() {
            return Ok(vec![]);
        }
        let text = text_of(step)?.into_bytes();
        let columns = self.policy.manifest.get("context")?.list()?;
        let mut context: Vec<(String, Json)> = pairs(asked)?.to_vec();
        context.retain(|(name, _)| !ARGUMENTS.contains(&name.as_str()));
        context.extend(given("role").map(|role| ("role".to_string(), role.clone())));
        let (row, ignored) = context::row(columns, text.len(), &context)?;
        at.ignored = ignored;
        let number = |name: &str| match given(name) {
            None => Ok(None),
            Some(Json::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(format!("{name} is no number")),
        };
        (at.floor, at.floor_rule) = self.book.floor(&word(asked, "role"), number("floor")?);
        (at.limit_s, at.limit_rule) =
            self.book.limit(&word(asked, "workload"), number("max_latency_s")?);
        if at.may == 0 {
            return Ok(vec![]);
        }
        self.ask(&cap(&text), &row, at)
    }

    fn ask(&self, text: &[u8], row: &[f32], at: &Asked) -> Result<Vec<f32>, String> {
        let session = &self.policy.session;
        let tiers = at.asked_about(&self.book);
        let mask: Vec<f32> =
            (0..self.book.tiers.len()).map(|tier| f32::from(u8::from(has(tiers, tier)))).collect();
        let floor = [at.floor.map_or(f32::NAN, |floor| floor as f32)];
        let limit = [at.limit_s.map_or(f32::INFINITY, |limit| limit as f32)];
        let inputs = [
            (c"text", &session.tensor(text, &[text.len() as i64])?),
            (c"context", &session.tensor(row, &[1, row.len() as i64])?),
            (c"allowed", &session.tensor(&mask, &[1, mask.len() as i64])?),
            (c"floor", &session.tensor(&floor, &[1])?),
            (c"max_latency_s", &session.tensor(&limit, &[1])?),
        ];
        session.run(&inputs, c"decision")?.elements::<f32>()
    }

    fn decision(
        &self,
        at: &Asked,
        tier: usize,
        reason: String,
        rule: String,
        next: Option<usize>,
    ) -> Decision {
        let tiers = &self.book.tiers;
        let named = (0..tiers.len()).filter(|tier| has(at.may, *tier));
        Decision {
            tier: tiers[tier].clone(),
            reason,
            rule,
            next_tier: next.map(|tier| tiers[tier].clone()),
            allowed: named.map(|tier| tiers[tier].clone()).collect(),
            ignored: at.ignored.clone(),
        }
    }
}
