//! The files of a bundle, verified before a byte of them is used: docs/gateways.md, step 1.

use crate::json::Json;
use crate::sha256;
use std::fs;
use std::path::Path;

pub const ROLES: [&str; 2] = ["policy", "golden"];

pub fn read_manifest(folder: &Path) -> Result<(Json, String), String> {
    let bytes = read(folder, "manifest.json", 4 << 20)?;
    let digest = sha256::hex(&bytes);
    if read(folder, "manifest.sha256", 65)? != format!("{digest}\n").into_bytes() {
        return Err(format!("manifest of digest {digest}, expected the one in manifest.sha256"));
    }
    let manifest = Json::parse(std::str::from_utf8(&bytes).map_err(|error| error.to_string())?)?;
    if manifest.get("schema_version")? != &Json::Number(1.0) {
        return Err("another schema version, expected 1".to_string());
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
pub fn read_role(folder: &Path, manifest: &Json, role: &str) -> Result<Vec<u8>, String> {
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
