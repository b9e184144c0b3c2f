// The graph's optional inputs (allowed, floor, max_latency_s) have their defaults as initializers.
// onnxruntime-node hands such inputs over to nobody: a feed for them is dropped without a word, and
// a pin would not hold. Without the initializer they are ordinary inputs, so it is taken out of the
// bytes in memory, after they were hashed; every input is then fed on every call.

const GRAPH = 7; // of ModelProto
const INITIALIZER = 5; // of GraphProto
const NAME = 8; // of TensorProto
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 };

/** Return the model without the initializers of these names. */
export function withoutDefaults(model, names) {
  return rewritten(model, GRAPH, (graph) =>
    rewritten(graph, INITIALIZER, (tensor) => (names.includes(nameOf(tensor)) ? null : tensor)),
  );
}

/** Copy a message; `change` gets each field of that number and returns its new bytes, or null. */
function rewritten(message, number, change) {
  const parts = [];
  for (const field of fields(message)) {
    const own = field.number === number && field.wire === WIRE.bytes;
    const body = own ? change(field.body) : field.body;
    if (body === field.body) parts.push(message.subarray(field.start, field.end));
    else if (body !== null) parts.push(varint((number << 3) | WIRE.bytes), varint(body.length), body);
  }
  return Buffer.concat(parts);
}

function nameOf(tensor) {
  for (const field of fields(tensor)) {
    if (field.number === NAME && field.wire === WIRE.bytes) return field.body.toString("utf8");
  }
  return "";
}

function* fields(message) {
  let at = 0;
  const read = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++]; // undefined past the end
      if (byte === undefined || scale > 2 ** 49) throw new Error("no protobuf message");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const key = read();
    const [number, wire] = [Math.floor(key / 8), key % 8];
    let length = 0;
    if (wire === WIRE.varint) while (message[at++] >= 128);
    else if (wire === WIRE.fixed64) length = 8;
    else if (wire === WIRE.bytes) length = read();
    else if (wire === WIRE.fixed32) length = 4;
    else throw new Error(`wire type ${wire}`);
    const body = message.subarray(at, at + length);
    at += length;
    if (at > message.length) throw new Error("no protobuf message");
    yield { number, wire, body, start, end: at };
  }
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
