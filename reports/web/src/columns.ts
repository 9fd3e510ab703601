// The page's half of reports/pack.h: columns of base64 bytes back into arrays.
import type { PackedColumn, PackedRows, Scalar } from "./schema";

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/// Zigzag LEB128. Arithmetic instead of shifts: a time in nanoseconds needs more than 32 bits.
function varints(bytes: Uint8Array, count: number, unit: number, delta: boolean): Float64Array {
  const out = new Float64Array(count);
  let at = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    let value = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte & 0x80);
    const signed = value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    last = delta ? last + signed : signed;
    out[i] = last * unit;
  }
  return out;
}

/// A column of `rows` numbers; what is no number becomes NaN.
export function numbersOf(column: PackedColumn | undefined, rows: number): Float64Array {
  if (!column) return new Float64Array(rows).fill(NaN);
  const data = column.data ?? "";
  if (column.varint !== undefined) return varints(bytesOf(data), rows, column.varint, column.delta ?? false);
  if (column.float === 64) return new Float64Array(bytesOf(data).buffer);
  if (column.float === 32) return Float64Array.from(new Float32Array(bytesOf(data).buffer));
  const out = new Float64Array(rows);
  const at = readerOf(column);
  for (let i = 0; i < rows; i++) {
    const value = at(i);
    out[i] = typeof value === "number" ? value : NaN;
  }
  return out;
}

/// A function from row to value.
export function readerOf(column: PackedColumn): (row: number) => Scalar {
  if (column.values) {
    const values = column.values;
    return (row) => values[row] ?? null;
  }
  const bytes = bytesOf(column.data ?? "");
  if (column.dictionary) {
    const words = column.dictionary;
    if (column.bits === 0) return () => words[0];
    const index = column.bits === 8 ? bytes : new Uint16Array(bytes.buffer);
    return (row) => words[index[row]];
  }
  const numbers = column.float === 32 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  // A 32-bit number read as 64 bits shows digits that it never had.
  const clean = column.float === 32 ? (x: number) => Number(x.toPrecision(7)) : (x: number) => x;
  return (row) => (Number.isNaN(numbers[row]) ? null : clean(numbers[row]));
}

/// Index and words of a dictionary column, for colours and lanes; other columns are turned into one.
export function codesOf(column: PackedColumn | undefined, rows: number): { words: Scalar[]; codes: Uint16Array } {
  const codes = new Uint16Array(rows);
  if (!column) return { words: [null], codes };
  const words: Scalar[] = [];
  const known = new Map<Scalar, number>();
  const at = readerOf(column);
  for (let i = 0; i < rows; i++) {
    const value = at(i);
    let code = known.get(value);
    if (code === undefined) {
      code = words.length;
      known.set(value, code);
      words.push(value);
    }
    codes[i] = code;
  }
  return { words, codes };
}

/// A packed list of objects, read by row and column.
export class Rows {
  readonly count: number;
  readonly omitted: number;
  readonly rounded: boolean;
  readonly names: string[];
  private readers = new Map<string, (row: number) => Scalar>();

  constructor(packed: PackedRows) {
    this.count = packed.rows;
    this.omitted = packed.omitted;
    this.rounded = packed.single_precision ?? false;
    this.names = packed.order ?? Object.keys(packed.columns);
    for (const name of this.names) this.readers.set(name, readerOf(packed.columns[name]));
  }

  at(row: number, name: string): Scalar {
    return this.readers.get(name)?.(row) ?? null;
  }

  number(row: number, name: string): number {
    const value = this.at(row, name);
    return typeof value === "number" ? value : NaN;
  }
}
