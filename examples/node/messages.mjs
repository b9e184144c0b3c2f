// Messages -> text -> bytes, as data/messages.py does it. The vectors of examples/conformance hold.

const KEPT = 2048;
const ASSISTANT = new Set(["assistant", "model", "ai"]);
const SYSTEM = new Set(["system", "developer"]);

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** The text a policy looks at: what is asked now, the turn before it, then the system prompt. */
export function textOf(messages) {
  if (typeof messages === "string") return messages;
  if (!Array.isArray(messages)) throw new TypeError("a text or a list of messages");
  const roles = messages.map(roleOf);
  const asked = roles.lastIndexOf("ask");
  const end = asked === -1 ? messages.length : asked;
  const before = roles.slice(0, end).lastIndexOf("assistant");
  const chosen = [asked, before, roles.indexOf("system")].filter((place) => place !== -1);
  return joined(chosen.map((place) => contentOf(messages[place])), "\n\n");
}

/** UTF-8; an unpaired surrogate becomes U+FFFD, which is what Buffer does. */
export const utf8 = (text) => Buffer.from(text, "utf8");

/** Over 4,096 bytes: the first 2,048, one space, the last 2,048. */
export function cap(bytes) {
  if (bytes.length <= 2 * KEPT) return bytes;
  return Buffer.concat([bytes.subarray(0, KEPT), Buffer.from(" "), bytes.subarray(-KEPT)]);
}

function roleOf(message) {
  const role = isObject(message) ? message.role : undefined;
  if (ASSISTANT.has(role)) return "assistant";
  return SYSTEM.has(role) ? "system" : "ask";
}

function contentOf(message) {
  if (!isObject(message)) return partOf(message);
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  return joined([partsOf(message.content), ...calls.map((call) => bracket(call, "tool_call"))]);
}

function partsOf(content) {
  if (content === null || content === undefined) return "";
  if (typeof content === "string") return content;
  return Array.isArray(content) ? joined(content.map(partOf)) : partOf(content);
}

function partOf(part) {
  if (typeof part === "string") return part;
  if (isObject(part)) {
    if (typeof part.text === "string") return part.text;
    if (part.type === "tool_result") return toolResult(part.content);
  }
  return bracket(part, "part");
}

// One level only: results do not nest, and hostile input might.
function toolResult(content) {
  const parts = Array.isArray(content) ? content : [content];
  return parts
    .filter((part) => part !== null && part !== undefined)
    .map((part) => (isObject(part) && typeof part.text === "string" ? part.text : part))
    .map((part) => (typeof part === "string" ? part : bracket(part, "part")))
    .join("\n");
}

const joined = (texts, separator = "\n") => texts.filter((text) => text !== "").join(separator);

function bracket(part, otherwise) {
  const kind = isObject(part) ? part.type : undefined;
  return `[${typeof kind === "string" ? kind : otherwise}]`;
}
