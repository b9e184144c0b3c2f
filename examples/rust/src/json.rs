//! JSON as values: strict, no name twice in an object, at most 64 levels deep.

use std::iter::Peekable;
use std::str::Chars;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Result<Json, String> {
        let mut rest = text.chars().peekable();
        let value = value(&mut rest, 0)?;
        blanks(&mut rest);
        match rest.next() {
            None => Ok(value),
            Some(other) => Err(format!("{other:?} behind the value")),
        }
    }

    /// The value of a name in an object.
    pub fn get(&self, name: &str) -> Result<&Json, String> {
        let Json::Object(pairs) = self else { return Err(format!("no object around {name}")) };
        let found = pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        found.ok_or(format!("no field {name}"))
    }

    pub fn text(&self) -> Result<&str, String> {
        if let Json::Text(text) = self {
            Ok(text)
        } else {
            Err(format!("{self:?}, expected a text"))
        }
    }

    pub fn list(&self) -> Result<&[Json], String> {
        if let Json::List(values) = self {
            Ok(values)
        } else {
            Err("no list".to_string())
        }
    }

    /// A number of a golden vector: null is NaN, an infinity is the word for it.
    pub fn real(&self) -> Result<f64, String> {
        match self {
            Json::Null => Ok(f64::NAN),
            Json::Number(number) => Ok(*number),
            Json::Text(word) if word == "inf" => Ok(f64::INFINITY),
            Json::Text(word) if word == "-inf" => Ok(f64::NEG_INFINITY),
            other => Err(format!("{other:?}, expected a number")),
        }
    }

    pub fn reals(&self) -> Result<Vec<f64>, String> {
        self.list()?.iter().map(Json::real).collect()
    }
}

type Rest<'a> = Peekable<Chars<'a>>;

fn blanks(rest: &mut Rest) {
    while rest.next_if(|one| matches!(one, ' ' | '\t' | '\r' | '\n')).is_some() {}
}

fn expect(rest: &mut Rest, word: &str) -> Result<(), String> {
    for wanted in word.chars() {
        if rest.next() != Some(wanted) {
            return Err(format!("expected {word:?}"));
        }
    }
    Ok(())
}

fn value(rest: &mut Rest, depth: usize) -> Result<Json, String> {
    blanks(rest);
    match rest.peek() {
        _ if depth > 64 => Err("more than 64 levels".to_string()),
        Some('{') => object(rest, depth),
        Some('[') => list(rest, depth),
        Some('"') => string(rest).map(Json::Text),
        Some('n') => expect(rest, "null").map(|()| Json::Null),
        Some('t') => expect(rest, "true").map(|()| Json::Bool(true)),
        Some('f') => expect(rest, "false").map(|()| Json::Bool(false)),
        _ => number(rest),
    }
}

/// Read `open item, item close`; `item` reads one.
fn items<'a>(
    rest: &mut Rest<'a>,
    close: char,
    mut item: impl FnMut(&mut Rest<'a>) -> Result<(), String>,
) -> Result<(), String> {
    rest.next();
    blanks(rest);
    if rest.next_if_eq(&close).is_some() {
        return Ok(());
    }
    loop {
        item(rest)?;
        blanks(rest);
        match rest.next() {
            Some(',') => {}
            Some(one) if one == close => return Ok(()),
            other => return Err(format!("{other:?}, expected a comma or {close:?}")),
        }
    }
}

fn list(rest: &mut Rest, depth: usize) -> Result<Json, String> {
    let mut found = Vec::new();
    items(rest, ']', |rest| {
        found.push(value(rest, depth + 1)?);
        Ok(())
    })?;
    Ok(Json::List(found))
}

fn object(rest: &mut Rest, depth: usize) -> Result<Json, String> {
    let mut found: Vec<(String, Json)> = Vec::new();
    items(rest, '}', |rest| {
        blanks(rest);
        let name = string(rest)?;
        if found.iter().any(|(other, _)| *other == name) {
            return Err(format!("{name:?} occurs twice"));
        }
        blanks(rest);
        expect(rest, ":")?;
        found.push((name, value(rest, depth + 1)?));
        Ok(())
    })?;
    Ok(Json::Object(found))
}

fn number(rest: &mut Rest) -> Result<Json, String> {
    let mut word = String::new();
    while let Some(one) = rest.next_if(|one| matches!(one, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'))
    {
        word.push(one);
    }
    word.parse().map(Json::Number).map_err(|_| format!("{word:?} is no number"))
}

/// UTF-16 in between: an unpaired surrogate becomes U+FFFD, as in every host.
fn string(rest: &mut Rest) -> Result<String, String> {
    expect(rest, "\"")?;
    let mut units: Vec<u16> = Vec::new();
    loop {
        let one = match rest.next().ok_or("a text without an end")? {
            '"' => return Ok(String::from_utf16_lossy(&units)),
            '\\' => match rest.next().ok_or("a text without an end")? {
                'u' => {
                    let digits: String = rest.take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).map_err(|_| "no \\u escape")?);
                    continue;
                }
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\u{8}',
                'f' => '\u{c}',
                same @ ('"' | '\\' | '/') => same,
                other => return Err(format!("escape {other:?}")),
            },
            control if control < ' ' => return Err("a control character in a text".to_string()),
            other => other,
        };
        units.extend_from_slice(one.encode_utf16(&mut [0; 2]));
    }
}
