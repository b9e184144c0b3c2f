//! What a caller says about a step -> the graph's `context`: docs/gateways.md, step 4.

use crate::json::Json;

const LARGEST_NUMBER: f64 = 3.0e38;
const LARGEST_FLAG: f64 = 1.0;

/// The row, NaN where nothing is known, and the names of what could not be read.
pub fn row(
    columns: &[Json],
    text_bytes: usize,
    given: &[(String, Json)],
) -> Result<(Vec<f32>, Vec<String>), String> {
    let mut row = vec![f32::NAN; columns.len()];
    let mut ignored = Vec::new();
    let place = |name: &str| columns.iter().position(|column| named(column, name));
    row[place("text_bytes").ok_or("no column text_bytes")?] = text_bytes as f32;
    for (name, value) in given.iter().filter(|(_, value)| *value != Json::Null) {
        let place = place(name).filter(|_| name != "text_bytes");
        match place.and_then(|place| number(&columns[place], value)) {
            Some(number) => row[place.unwrap_or_default()] = number as f32,
            None => ignored.push(name.clone()),
        }
    }
    Ok((row, ignored))
}

fn named(column: &Json, name: &str) -> bool {
    column.get("name").and_then(Json::text) == Ok(name)
}

fn number(column: &Json, value: &Json) -> Option<f64> {
    let largest = match column.get("kind").and_then(Json::text).ok()? {
        "category" => {
            let words = column.get("vocabulary").and_then(Json::list).ok()?;
            let Json::Text(_) = value else { return None };
            return words.iter().position(|word| word == value).map(|place| place as f64);
        }
        "flag" => LARGEST_FLAG,
        _ => LARGEST_NUMBER,
    };
    let number = match value {
        Json::Bool(flag) => f64::from(u8::from(*flag)),
        Json::Number(number) => *number,
        _ => return None,
    };
    (number.abs() <= largest).then_some(number)
}
