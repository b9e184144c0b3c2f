//! Which tiers may serve a step, by the rules people set: docs/gateways.md, step 6.

use crate::json::Json;
use crate::tiers::{dearest, has, nearest, Set};

const WORDS: [&str; 4] = ["role", "tenant", "data_class", "task_type"];
const FLAGS: [&str; 2] = ["irreversible", "user_visible"];
const OF_PINS: [&str; 5] = ["name", "tier", "allowed", "why", "unless"];

/// The words and the flags of a step; "" and false where it says nothing.
pub struct Said {
    pub words: [String; 4],
    pub flags: [bool; 2],
}

impl Said {
    pub fn of(asked: &Json) -> Said {
        Said {
            words: WORDS.map(|name| word(asked, name)),
            flags: FLAGS.map(|name| flag(asked.get(name).unwrap_or(&Json::Null))),
        }
    }
}

/// What rules say of a step; `tier` is settled, and the graph is not asked.
#[derive(Clone)]
pub struct Rule {
    pub may: Set,
    pub tier: Option<usize>,
    pub name: String,
    pub pinned: bool,
}

struct Pin {
    name: String,
    tier: Option<usize>,
    allowed: Set,
    when: Vec<(usize, Vec<String>)>, // place in WORDS
    unless: Vec<(usize, Vec<String>)>,
    flags: Vec<usize>, // places in FLAGS
}

pub struct RuleBook {
    pub tiers: Vec<String>,
    pub every: Set,
    standing: Set,
    vendors: Vec<Option<String>>,
    pins: Vec<Pin>,
    fixed: Vec<(String, usize)>,
    reserved: Vec<usize>, // flags without one of which the frontier does not serve
    frontier: Set,
    floors: Vec<(String, f64)>,
    latency: Vec<(String, f64)>,
    failover: Vec<(String, Vec<Set>)>,
}

impl RuleBook {
    /// Read the rules of a manifest; an error where there is one that is not applied here.
    pub fn read(manifest: &Json) -> Result<RuleBook, String> {
        let tiers = manifest.get("tiers")?.list()?;
        let names: Vec<String> =
            tiers.iter().map(|one| text_in(one, "name")).collect::<Result<_, _>>()?;
        let vendors = tiers.iter().map(|one| text_in(one, "vendor").ok()).collect();
        let frontier = names.iter().position(|name| name == "frontier").unwrap_or(names.len() - 1);
        let mut book = RuleBook {
            every: (1 << names.len()) - 1,
            standing: (1 << names.len()) - 1,
            frontier: 1 << frontier,
            tiers: names,
            vendors,
            pins: vec![],
            fixed: vec![],
            reserved: vec![],
            floors: vec![],
            latency: vec![],
            failover: vec![],
        };
        match manifest.get("rules")?.list()? {
            [] => {}
            [rules] => {
                for (key, value) in pairs(rules)? {
                    book.read_key(key, value).map_err(|error| format!("rules: {key}: {error}"))?;
                }
            }
            several => return Err(format!("rules: {} objects, expected one", several.len())),
        }
        Ok(book)
    }

    fn read_key(&mut self, key: &str, value: &Json) -> Result<(), String> {
        match key {
            "version" if *value == Json::Number(1.0) => {}
            "new_roles" => drop(words(value)?),
            "forbidden_vendors" => self.standing &= !self.of_vendors(&words(value)?)?,
            "floors" => self.floors = numbers(value)?,
            "latency_s" => self.latency = numbers(value)?,
            "failover" => {
                for (vendor, others) in pairs(value)? {
                    self.of_vendor(vendor)?;
                    let others = words(others)?;
                    let sets =
                        others.iter().map(|one| self.of_vendor(one)).collect::<Result<_, _>>()?;
                    self.failover.push((vendor.clone(), sets));
                }
            }
            "frontier_only_for" => {
                for name in words(value)? {
                    let place = FLAGS.iter().position(|flag| *flag == name);
                    self.reserved.push(place.ok_or(format!("flag {name}"))?);
                }
            }
            "fixed_roles" => {
                for (role, tier) in pairs(value)? {
                    self.fixed.push((role.clone(), self.place(tier.text()?)?));
                }
            }
            "pins" => {
                let pins = value.list()?.iter().map(|pin| self.read_pin(pin));
                self.pins = in_order(pins.collect::<Result<_, _>>()?);
            }
            "budgets" | "explore" if pairs(value)?.is_empty() => {}
            _ => return Err("not applied by this loader".to_string()),
        }
        Ok(())
    }

    fn read_pin(&self, pin: &Json) -> Result<Pin, String> {
        let known =
            |key: &str| OF_PINS.contains(&key) || WORDS.contains(&key) || FLAGS.contains(&key);
        if let Some((key, _)) = pairs(pin)?.iter().find(|(key, _)| !known(key)) {
            return Err(format!("{key}, not applied by this loader"));
        }
        let conditions = |from: &Json| -> Result<Vec<(usize, Vec<String>)>, String> {
            let named =
                (0..WORDS.len()).filter_map(|key| from.get(WORDS[key]).ok().map(|one| (key, one)));
            named.map(|(key, one)| Ok((key, words(one)?))).collect()
        };
        let flags: Vec<usize> =
            (0..FLAGS.len()).filter(|key| pin.get(FLAGS[*key]).is_ok()).collect();
        let tier = match pin.get("tier")? {
            Json::Null => None,
            name => Some(self.place(name.text()?)?),
        };
        let found = Pin {
            name: text_in(pin, "name")?,
            allowed: self.set_of(&words(pin.get("allowed")?)?)?,
            when: conditions(pin)?,
            unless: pin.get("unless").map_or(Ok(vec![]), conditions)?,
            tier,
            flags,
        };
        let sound = found.allowed != 0
            && found.tier.map_or(true, |tier| has(found.allowed, tier))
            && !(found.when.is_empty() && found.flags.is_empty())
            && found.flags.iter().all(|key| pin.get(FLAGS[*key]) == Ok(&Json::Bool(true)));
        sound.then_some(found).ok_or("a pin of another form".to_string())
    }

    /// What holds for a step of which nothing is known.
    pub fn open(&self) -> Rule {
        Rule { may: self.standing, tier: None, name: String::new(), pinned: false }
    }

    pub fn rule(&self, said: &Said) -> Rule {
        let pins: Vec<&Pin> = self.pins.iter().filter(|pin| pin.holds(said)).collect();
        let fixed = look_up(&self.fixed, &said.words[0]);
        if let Some(first) = pins.first() {
            let may = pins.iter().fold(self.standing, |may, pin| may & pin.allowed);
            let named = pins.iter().find(|pin| pin.tier.is_some()).unwrap_or(first);
            let alone = if may == 0 { dearest(first.allowed) } else { dearest(may) };
            let tier = named.tier.or(alone.filter(|_| may.count_ones() < 2));
            let tier = tier.or(fixed.and_then(|tier| nearest(tier, may)));
            return Rule { may, tier, name: named.name.clone(), pinned: true };
        }
        if fixed.is_some() {
            return Rule {
                tier: fixed,
                name: format!("fixed_roles.{}", said.words[0]),
                ..self.open()
            };
        }
        if !self.reserved.is_empty() && !self.reserved.iter().any(|flag| said.flags[*flag]) {
            let name = "frontier_only_for".to_string();
            return Rule { may: self.standing & !self.frontier, name, ..self.open() };
        }
        self.open()
    }

    /// The stricter of the role's floor and the call's, and the rule's name if it is.
    pub fn floor(&self, role: &str, asked: Option<f64>) -> (Option<f64>, String) {
        match look_up(&self.floors, role) {
            Some(least) if !asked.is_some_and(|one| one > least) => {
                (Some(least), format!("floors.{role}"))
            }
            _ => (asked, String::new()),
        }
    }

    /// The stricter of the workload's limit and the call's, s, and the rule's name if it is.
    pub fn limit(&self, workload: &str, asked: Option<f64>) -> (Option<f64>, String) {
        match look_up(&self.latency, workload) {
            Some(most) if !asked.is_some_and(|one| one < most) => {
                (Some(most), format!("latency_s.{workload}"))
            }
            _ => (asked, String::new()),
        }
    }

    /// Who of some tiers serves in place of one that may not; `out`: whose vendors are out.
    pub fn stand_in(&self, tier: usize, set: Set, out: Set) -> Option<usize> {
        let orders = self
            .failover
            .iter()
            .filter(|(vendor, _)| has(out, tier) && self.vendors[tier].as_ref() == Some(vendor));
        let mut others = orders.flat_map(|(_, others)| others);
        nearest(tier, set & others.find(|one| *one & set != 0).unwrap_or(&self.every))
    }

    /// Whether an order of failover is laid down for a vendor of some tiers.
    pub fn has_stand_in(&self, set: Set) -> bool {
        self.failover.iter().any(|(vendor, _)| self.of_vendor(vendor).is_ok_and(|of| of & set != 0))
    }

    pub fn of_vendors(&self, names: &[String]) -> Result<Set, String> {
        names.iter().try_fold(0, |set, name| Ok(set | self.of_vendor(name)?))
    }

    fn of_vendor(&self, name: &str) -> Result<Set, String> {
        let own = (0..self.tiers.len()).filter(|tier| self.vendors[*tier].as_deref() == Some(name));
        let set = own.fold(0, |set, tier| set | 1 << tier);
        (set != 0).then_some(set).ok_or(format!("vendor {name}"))
    }

    pub fn place(&self, tier: &str) -> Result<usize, String> {
        self.tiers.iter().position(|name| name == tier).ok_or(format!("tier {tier}"))
    }

    fn set_of(&self, names: &[String]) -> Result<Set, String> {
        names.iter().try_fold(0, |set, name| Ok(set | 1 << self.place(name)?))
    }
}

impl Pin {
    fn holds(&self, said: &Said) -> bool {
        let one_of = |(key, words): &(usize, Vec<String>)| words.contains(&said.words[*key]);
        self.when.iter().all(one_of)
            && !self.unless.iter().any(one_of)
            && self.flags.iter().all(|key| said.flags[*key])
    }
}

/// Pins as decisions name the first of several.
fn in_order(mut pins: Vec<Pin>) -> Vec<Pin> {
    let key = |pin: &Pin| pin.when.first().map(|(key, _)| *key);
    let keys: Vec<_> = pins.iter().map(key).collect();
    let group = |pin: &Pin| match key(pin) {
        None => usize::MAX,
        own => keys.iter().position(|one| *one == own).unwrap_or_default(),
    };
    pins.sort_by_key(group); // keeps the order inside a group
    pins
}

/// A word that a step says; "" for what is no text.
pub fn word(asked: &Json, name: &str) -> String {
    asked.get(name).and_then(Json::text).unwrap_or_default().to_string()
}

/// True, or there and not to be read: what hangs on it errs on the safe side.
fn flag(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(flag) => *flag,
        Json::Number(number) => *number != 0.0,
        _ => true,
    }
}

fn look_up<T: Copy>(table: &[(String, T)], name: &str) -> Option<T> {
    table.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
}

pub fn pairs(value: &Json) -> Result<&[(String, Json)], String> {
    if let Json::Object(pairs) = value {
        Ok(pairs)
    } else {
        Err("no object".to_string())
    }
}

pub fn words(value: &Json) -> Result<Vec<String>, String> {
    value.list()?.iter().map(|one| one.text().map(str::to_string)).collect()
}

fn text_in(value: &Json, name: &str) -> Result<String, String> {
    value.get(name)?.text().map(str::to_string)
}

fn numbers(value: &Json) -> Result<Vec<(String, f64)>, String> {
    let number = |(name, one): &(String, Json)| match one {
        Json::Number(number) if *number >= 0.0 => Ok((name.clone(), *number)),
        _ => Err(format!("no number for {name}")),
    };
    pairs(value)?.iter().map(number).collect()
}
