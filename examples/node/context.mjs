// What a caller says about a step -> the graph's `context` input. What cannot be read is unknown
// (NaN) and named in `ignored`, never an error: docs/gateways.md, step 4.

const LARGEST = { number: 3.0e38, flag: 1 };

/** Return {row: Float32Array, ignored: names left out}; null and undefined are unknown. */
export function contextRow(columns, textBytes, given) {
  const row = new Float32Array(columns.length).fill(NaN);
  const ignored = [];
  row[columns.findIndex((column) => column.name === "text_bytes")] = textBytes;
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined) continue;
    const place = columns.findIndex((column) => column.name === name && name !== "text_bytes");
    const number = place === -1 ? NaN : numberOf(columns[place], value);
    if (!Number.isNaN(number)) row[place] = number;
    else if (place === -1 || !Number.isNaN(value)) ignored.push(name); // NaN is a plain unknown
  }
  return { row, ignored };
}

function numberOf(column, value) {
  if (column.kind === "category") {
    const index = typeof value === "string" ? column.vocabulary.indexOf(value) : -1;
    return index === -1 ? NaN : index;
  }
  const readable = typeof value === "number" || typeof value === "boolean";
  const number = readable ? Number(value) : NaN;
  return Math.abs(number) <= LARGEST[column.kind] ? number : NaN;
}
