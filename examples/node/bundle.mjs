// A bundle, read once and verified before a byte of it is used: docs/gateways.md, steps 1 to 4.

import { createHash, verify } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const SCHEMA_VERSION = 1;
const FILES = { policy: "policy.onnx", golden: "golden.jsonl" }; // by role: those known here
const MOST_BYTES = { manifest: 4 << 20, policy: 256 << 20, golden: 16 << 20, other: 256 << 20 };

export class BundleError extends Error {}

/**
 * Return {manifest, digest, files: bytes by role}; throw a BundleError where anything differs.
 * `digest` is the manifest's as known from elsewhere, `publicKey` a PEM that has to have signed it.
 */
export function readBundle(folder, { digest, publicKey } = {}) {
  const text = readRegular(folder, "manifest.json", MOST_BYTES.manifest);
  const found = sha256(text);
  if (readRegular(folder, "manifest.sha256", 65).toString("latin1") !== `${found}\n`) {
    throw new BundleError(`manifest of digest ${found}, expected the one in manifest.sha256`);
  }
  if (digest !== undefined && digest.trim().toLowerCase() !== found) {
    throw new BundleError(`manifest of digest ${found}, expected ${digest}`);
  }
  if (publicKey !== undefined && !verify(null, text, publicKey, readSignature(folder))) {
    throw new BundleError("manifest.sig is not this key's for this manifest");
  }
  const manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  checkManifest(manifest);
  return { manifest, digest: found, files: readFiles(folder, manifest) };
}

function checkManifest(manifest) {
  if (manifest.schema_version !== SCHEMA_VERSION) {
    throw new BundleError(`schema version ${manifest.schema_version}, expected ${SCHEMA_VERSION}`);
  }
  for (const file of manifest.files) {
    if (file.required !== false && !Object.hasOwn(FILES, file.role)) {
      throw new BundleError(`required file of role ${file.role}, unknown to this loader`);
    }
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(file.name)) {
      throw new BundleError(`file name ${JSON.stringify(file.name)}`);
    }
  }
}

function readFiles(folder, manifest) {
  const named = [...manifest.files.map((file) => file.name), "manifest.json", "manifest.sha256"];
  const present = fs.readdirSync(folder).filter((name) => name !== "manifest.sig").sort();
  if (JSON.stringify(present) !== JSON.stringify(named.sort())) {
    throw new BundleError(`files ${present}, expected ${named}`);
  }
  const files = {};
  for (const { name, role, size, sha256: wanted } of manifest.files) {
    const most = MOST_BYTES[role] ?? MOST_BYTES.other;
    const content = readRegular(folder, name, Math.min(size, most));
    if (content.length !== size || sha256(content) !== wanted) {
      throw new BundleError(`other bytes in ${name}, expected the digest in the manifest`);
    }
    if (FILES[role] === name) files[role] = content;
  }
  for (const role of Object.keys(FILES)) {
    if (files[role] === undefined) throw new BundleError(`no file of role ${role}`);
  }
  return files;
}

/** 64 bytes, as they are or in base64. */
function readSignature(folder) {
  const found = readRegular(folder, "manifest.sig", 128);
  return found.length === 64 ? found : Buffer.from(found.toString("latin1"), "base64");
}

/** Read a regular file of at most `most` bytes; follow no link, wait for no pipe. */
function readRegular(folder, name, most) {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const handle = fs.openSync(path.join(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = fs.fstatSync(handle);
    if (!found.isFile() || found.size > most) {
      throw new BundleError(`${name}: expected a regular file of at most ${most} bytes`);
    }
    return fs.readFileSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
