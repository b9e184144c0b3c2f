//! A tierwise bundle in Rust: verify every file, run every golden vector.
//!
//!     ORT_DYLIB_PATH=.../libonnxruntime.so cargo run --release -- ../../artifacts/fleet/policy
//!
//! Exit code 0: all of it holds; 1: something differs. docs/gateways.md says what a loader does
//! besides; this one is the standard library and ONNX Runtime, no crate.

mod json;
mod onnxruntime;
mod sha256;

use json::Json;
use onnxruntime::Session;
use std::fs;
use std::path::Path;

const ROLES: [&str; 2] = ["policy", "golden"];
const EXACT: [&str; 4] = ["tier", "reason", "point", "next_tier"];
const TOLERANCE: f64 = 1e-4;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_default();
    match conformance(Path::new(&folder)) {
        Ok(line) => println!("{line}"),
        Err(error) => {
            println!("refused: {error}");
            std::process::exit(1);
        }
    }
}

fn conformance(folder: &Path) -> Result<String, String> {
    let (manifest, digest) = read_manifest(folder)?;
    let [policy, golden] = ROLES.map(|role| read_role(folder, &manifest, role));
    let library = std::env::var("ORT_DYLIB_PATH").map_err(|_| "no ORT_DYLIB_PATH")?;
    let session = Session::open(&library, &policy?)?;
    let golden = String::from_utf8(golden?).map_err(|error| error.to_string())?;
    let mut count = 0;
    for line in golden.lines() {
        count += 1;
        check_example(&session, &manifest, &Json::parse(line)?)
            .map_err(|error| format!("golden.jsonl, example {count}: {error}"))?;
    }
    if count == 0 {
        return Err("golden.jsonl: no examples".to_string());
    }
    let version = manifest.get("policy_version")?.text()?;
    Ok(format!("golden vectors: {count} of {count} agree, policy {version}, manifest {digest}"))
}

fn read_manifest(folder: &Path) -> Result<(Json, String), String> {
    let bytes = read(folder, "manifest.json", 4 << 20)?;
    let digest = sha256::hex(&bytes);
    if read(folder, "manifest.sha256", 65)? != format!("{digest}\n").into_bytes() {
        return Err(format!("manifest of digest {digest}, expected the one in manifest.sha256"));
    }
    let manifest = Json::parse(std::str::from_utf8(&bytes).map_err(|error| error.to_string())?)?;
    if manifest.get("schema_version")? != &Json::Number(1.0) {
        return Err("another schema version, expected 1".to_string());
    }
    if !manifest.get("rules")?.list()?.is_empty() {
        return Err("rules in the manifest, which this loader does not apply".to_string());
    }
    check_names(folder, &manifest)?;
    Ok((manifest, digest))
}

/// No required file of an unknown role, and no file that the manifest does not name.
fn check_names(folder: &Path, manifest: &Json) -> Result<(), String> {
    let mut named = vec!["manifest.json".to_string(), "manifest.sha256".to_string()];
    for file in manifest.get("files")?.list()? {
        let role = file.get("role")?.text()?;
        if file.get("required")? != &Json::Bool(false) && !ROLES.contains(&role) {
            return Err(format!("required file of role {role}, unknown to this loader"));
        }
        named.push(file.get("name")?.text()?.to_string());
    }
    let listed = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut present: Vec<String> =
        listed.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    present.retain(|name| name != "manifest.sig");
    present.sort();
    named.sort();
    if present == named {
        Ok(())
    } else {
        Err(format!("files {present:?}, expected {named:?}"))
    }
}

/// Read the one file of a role; its size and digest have to be the manifest's.
fn read_role(folder: &Path, manifest: &Json, role: &str) -> Result<Vec<u8>, String> {
    let files = manifest.get("files")?.list()?;
    let own: Vec<&Json> =
        files.iter().filter(|file| file.get("role") == Ok(&Json::Text(role.to_string()))).collect();
    let [file] = own[..] else { return Err(format!("{} files of role {role}", own.len())) };
    let name = file.get("name")?.text()?;
    let content = read(folder, name, 256 << 20)?;
    let sound = file.get("size")? == &Json::Number(content.len() as f64)
        && sha256::hex(&content) == file.get("sha256")?.text()?;
    if sound {
        Ok(content)
    } else {
        Err(format!("other bytes in {name}, expected its digest"))
    }
}

/// Read a regular file, no link, of at most `most` bytes.
fn read(folder: &Path, name: &str, most: u64) -> Result<Vec<u8>, String> {
    if name.contains('/') || name.starts_with('.') {
        return Err(format!("file name {name:?}"));
    }
    let path = folder.join(name);
    let found = fs::symlink_metadata(&path).map_err(|error| format!("{name}: {error}"))?;
    if !found.is_file() || found.len() > most {
        return Err(format!("{name}: expected a regular file of at most {most} bytes"));
    }
    fs::read(&path).map_err(|error| format!("{name}: {error}"))
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

fn base64(text: &str) -> Result<Vec<u8>, String> {
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
