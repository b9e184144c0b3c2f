//! Golden vectors: what the graph has to give for bytes and numbers: docs/gateways.md, step 7.

use crate::json::Json;
use crate::onnxruntime::Session;

const EXACT: [&str; 4] = ["tier", "reason", "point", "next_tier"];
const TOLERANCE: f64 = 1e-4;

/// Run every example; return how many there are.
pub fn check(session: &Session, manifest: &Json, lines: &str) -> Result<usize, String> {
    let mut count = 0;
    for line in lines.lines() {
        count += 1;
        check_example(session, manifest, &Json::parse(line)?)
            .map_err(|error| format!("golden.jsonl, example {count}: {error}"))?;
    }
    if count == 0 {
        return Err("golden.jsonl: no examples".to_string());
    }
    Ok(count)
}

fn check_example(session: &Session, manifest: &Json, example: &Json) -> Result<(), String> {
    let text = base64(example.get("text")?.text()?)?;
    let context = floats(example.get("context")?)?;
    let text_tensor = session.tensor(&text, &[text.len() as i64])?;
    let context_tensor = session.tensor(&context, &[1, context.len() as i64])?;
    let mut inputs = vec![(c"text", &text_tensor), (c"context", &context_tensor)];
    let ids = session.run(&inputs, c"ids")?.elements::<i64>()?;
    if ids.iter().map(|id| *id as f64).ne(example.get("ids")?.reals()?) {
        return Err("other ids".to_string());
    }
    // What the example leaves out has its default in the graph.
    let mut limits = Vec::new();
    for (name, field) in
        [(c"allowed", "allowed"), (c"floor", "floor"), (c"max_latency_s", "max_latency_s")]
    {
        match example.get(field)? {
            Json::Null => {}
            given @ Json::List(_) => limits.push((name, floats(given)?, true)),
            given => limits.push((name, vec![given.real()? as f32], false)),
        }
    }
    let mut tensors = Vec::new();
    for (name, data, is_row) in &limits {
        let length = data.len() as i64;
        let shape = if *is_row { vec![1, length] } else { vec![length] };
        tensors.push((*name, session.tensor(data, &shape)?));
    }
    inputs.extend(tensors.iter().map(|(name, tensor)| (*name, tensor)));
    let got = session.run(&inputs, c"decision")?.elements::<f32>()?;
    compare(&got, &example.get("decision")?.reals()?, manifest.get("outputs")?)
}

fn compare(got: &[f32], wanted: &[f64], outputs: &Json) -> Result<(), String> {
    if got.len() != wanted.len() {
        return Err(format!("{} numbers, expected {}", got.len(), wanted.len()));
    }
    let exact: Vec<f64> =
        EXACT.iter().map(|name| outputs.get(name)?.real()).collect::<Result<_, String>>()?;
    for (place, (got, wanted)) in got.iter().map(|one| f64::from(*one)).zip(wanted).enumerate() {
        let same = got == *wanted || (got.is_nan() && wanted.is_nan());
        let near = (got - wanted).abs() <= TOLERANCE * (1.0 + wanted.abs());
        if !same && (!near || exact.contains(&(place as f64))) {
            return Err(format!("{got} in place {place} of the decision, expected {wanted}"));
        }
    }
    Ok(())
}

fn floats(values: &Json) -> Result<Vec<f32>, String> {
    Ok(values.reals()?.into_iter().map(|value| value as f32).collect())
}

pub fn base64(text: &str) -> Result<Vec<u8>, String> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0u32, 0);
    for one in text.trim_end_matches('=').chars() {
        held = held << 6 | DIGITS.find(one).ok_or(format!("{one:?} in base64"))? as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Ok(bytes)
}
