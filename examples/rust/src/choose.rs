//! From the graph's numbers, or from rules alone, to the tier that serves: docs/gateways.md, step 6.

use crate::rules::{Rule, RuleBook};
use crate::tiers::{dearest, has, Set};

/// What is known of a step while it is being decided.
pub struct Asked {
    pub rule: Rule,
    pub called: Set, // the call allows them
    pub out: Set,    // their vendors are out
    pub may: Set,    // serve, by rule, call and outages
    pub pin: bool,   // the call names the tier
    pub ignored: Vec<String>,
    pub floor: Option<f64>,
    pub floor_rule: String,
    pub limit_s: Option<f64>,
    pub limit_rule: String,
}

/// Who serves, no tier where none may, and why.
pub struct Choice {
    pub tier: Option<usize>,
    pub reason: String,
    pub rule: String,
}

impl Choice {
    fn of(tier: Option<usize>, reason: &str, rule: String) -> Choice {
        Choice { tier, reason: reason.to_string(), rule }
    }
}

impl Asked {
    /// A step of which nothing is known.
    pub fn new(book: &RuleBook, out: Set) -> Asked {
        let rule = book.open();
        Asked {
            may: rule.may & !out,
            called: book.every,
            out,
            rule,
            pin: false,
            ignored: vec![],
            floor: None,
            floor_rule: String::new(),
            limit_s: None,
            limit_rule: String::new(),
        }
    }

    /// Whether the tier is found without the graph.
    pub fn settled(&self) -> bool {
        self.rule.tier.is_some() || self.pin
    }

    pub fn without_graph(&self, book: &RuleBook) -> Choice {
        let rule = self.rule.name.clone();
        if self.may == 0 {
            return Choice::of(None, "none_allowed", self.narrowed_by(book, 0));
        }
        let Some(settled) = self.rule.tier else {
            let rule = if self.rule.pinned { rule } else { "call".to_string() };
            return Choice::of(dearest(self.may), "pinned", rule);
        };
        let stands_in = !has(self.may, settled);
        let tier =
            if stands_in { book.stand_in(settled, self.may, self.out) } else { Some(settled) };
        if self.rule.pinned {
            Choice::of(tier, "pinned", rule)
        } else if !stands_in {
            Choice::of(tier, "fixed_role", rule)
        } else if self.pin {
            Choice::of(tier, "pinned", "call".to_string())
        } else {
            Choice::of(tier, "constrained", self.narrowed_by(book, 0))
        }
    }

    /// From what the graph says: its tier, its reason, and the seconds of every tier.
    pub fn by_graph(
        &self,
        book: &RuleBook,
        tier: Option<usize>,
        reason: &str,
        seconds: &[f32],
    ) -> Result<Choice, String> {
        let limit = self.limit_s.unwrap_or(f64::INFINITY);
        let too_slow = |tier: &usize| f64::from(seconds[*tier]) > limit;
        let slow = (0..seconds.len()).filter(too_slow).fold(0, |set, tier| set | 1 << tier);
        let narrowed_by = || self.narrowed_by(book, slow);
        let Some(asked) = tier else {
            let none = Choice::of(None, "none_allowed", narrowed_by());
            return (reason == "none_allowed").then_some(none).ok_or("no tier".to_string());
        };
        let constrained = if self.rule.pinned { "pinned" } else { "constrained" };
        if has(self.out, asked) {
            // It was asked as if no vendor were out.
            let tier = book.stand_in(asked, self.may & !slow, self.out);
            return Ok(match tier {
                None => Choice::of(None, "none_allowed", "outage".to_string()),
                some => Choice::of(some, constrained, narrowed_by()),
            });
        }
        if !has(self.may, asked) {
            return Err("a tier that may not serve".to_string());
        }
        Ok(match reason {
            "constrained" => Choice::of(tier, constrained, narrowed_by()),
            other => Choice::of(tier, other, self.floor_rule.clone()),
        })
    }

    /// The tiers to ask the graph about: as if nobody were out, where failover is laid down.
    pub fn asked_about(&self, book: &RuleBook) -> Set {
        let before = self.rule.may & self.called;
        if book.has_stand_in(self.out & before) {
            before
        } else {
            self.may
        }
    }

    /// The tier to name where none is chosen: the fallback, but none that a rule leaves out.
    pub fn named(&self, fallback: usize) -> usize {
        let rule = &self.rule;
        let other = rule.tier.or(dearest(rule.may));
        if has(rule.may, fallback) {
            fallback
        } else {
            other.unwrap_or(fallback)
        }
    }

    /// The first rule, in the order of what holds over what, that takes a tier away.
    fn narrowed_by(&self, book: &RuleBook, slow: Set) -> String {
        let rule = &self.rule;
        let named = if !rule.name.is_empty() && (rule.pinned || rule.tier.is_none()) {
            &rule.name
        } else if rule.may & self.out != 0 {
            "outage"
        } else if rule.may & !self.called != 0 {
            "call"
        } else if rule.may & slow != 0 {
            if self.limit_rule.is_empty() {
                "call"
            } else {
                &self.limit_rule
            }
        } else if rule.may != book.every {
            "forbidden_vendors"
        } else {
            ""
        };
        named.to_string()
    }
}
