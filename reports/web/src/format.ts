// Numbers for people; base/text.h prints the same on a terminal.
import type { Scalar } from "./schema";

export type Quantity = "plain" | "seconds" | "bytes" | "flops" | "fraction" | "percent";

const BYTES = new Set(["parameters", "gradients", "optimizer", "activations", "workspace", "communication", "framework", "total"]);
const FRACTIONS = new Set(["mfu", "hfu", "share", "bubble_over_ideal", "bubble_over_total", "load", "utilisation", "efficiency"]);

/// What the numbers under a JSON key are, by its last word.
export function quantityOf(key: string): Quantity {
  const last = key.slice(key.lastIndexOf(".") + 1);
  if (last.endsWith("_per_s")) return "plain";
  if (last.endsWith("_s") || last === "seconds") return "seconds";
  if (last.endsWith("_bytes") || last === "bytes" || BYTES.has(last)) return "bytes";
  if (last.endsWith("_flops")) return "flops";
  if (last.endsWith("_pct")) return "percent";
  return FRACTIONS.has(last) || last.endsWith("_share") ? "fraction" : "plain";
}

/// Three digits that count: 0.0512, 1.50, 79.2, 312, 1,536.
export function threeDigits(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "–" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 999.5) return size < 1e15 ? Math.round(value).toLocaleString("en-US") : value.toExponential(2);
  if (size < 1e-4) return value.toExponential(2);
  return Number(value.toPrecision(3)).toFixed(Math.max(0, 2 - Math.floor(Math.log10(Number(size.toPrecision(3))))));
}

function scaled(value: number, steps: [number, string][]): string {
  const size = Math.abs(value) * 1.0005; // 999.6 ms reads as 1.00 s
  const [unit, name] = steps.find(([from]) => size >= from) ?? steps[steps.length - 1];
  return `${threeDigits(value / unit)} ${name}`;
}

export function seconds(value: number): string {
  if (value === 0) return "0 s";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  const two = (x: number) => String(Math.floor(x)).padStart(2, "0");
  if (size >= 172800) return `${sign}${Math.floor(size / 86400)} d ${two((size % 86400) / 3600)} h`;
  if (size >= 7200) return `${sign}${Math.floor(size / 3600)} h ${two((size % 3600) / 60)} min`;
  if (size >= 120) return `${sign}${Math.floor(size / 60)} min ${two(size % 60)} s`;
  return scaled(value, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]]);
}

export function bytes(value: number): string {
  if (value === 0) return "0 B";
  return scaled(value, [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]]);
}

/// A tick of an axis: "5 s", not "5.00 s", and "10 min", not "10 min 00 s".
export function tick(text: string): string {
  return text.replace(/ 00 (s|min|h)$/, "").replace(/(\.\d*?)0+(?=\s|$)/, "$1").replace(/\.(?=\s|$)/, "");
}

/// Charts of memory count in GiB, so that their ticks are round.
export const GIB = 2 ** 30;
/// Small ones, of a run on a CPU's cores, count in MiB or KiB.
export function memoryUnit(most: number): { unit: number; tick: (value: number) => string } {
  const [unit, name] = ([[GIB, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]] as [number, string][]).find(([from]) => most >= from) ?? [1, "B"];
  return { unit, tick: (value) => `${tick(threeDigits(value))} ${name}` };
}
export const gibTick = (gib: number): string => `${tick(threeDigits(gib))} GiB`;
/// Between the ticks of an axis of at most `parts` stretches up to `end` seconds: whole minutes and hours where it is long.
export function timeStep(end: number, parts: number): number | undefined {
  return end <= 120 ? undefined : [30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200].find((step) => end / step <= parts) ?? 86400 * Math.ceil(end / 86400 / parts);
}
export const secondsTick = (value: number): string => tick(seconds(value));

export function percent(ratio: number, decimals = 1): string {
  return Number.isFinite(ratio) ? `${(100 * ratio).toFixed(decimals)}%` : "–";
}

/// "312 k", "1.54 M": for axes and large counts.
export function compact(value: number): string {
  if (Math.abs(value) < 10000) return Number.isInteger(value) ? value.toLocaleString("en-US") : threeDigits(value);
  return scaled(value, [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]);
}

export function show(value: unknown, quantity: Quantity = "plain"): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  if (typeof value !== "number") return JSON.stringify(value);
  if (Number.isNaN(value)) return "–";
  switch (quantity) {
    case "seconds":
      return seconds(value);
    case "bytes":
      return bytes(value);
    case "flops":
      return scaled(value, [[1e18, "EFLOP"], [1e15, "PFLOP"], [1e12, "TFLOP"], [1e9, "GFLOP"], [1, "FLOP"]]);
    case "fraction":
      return percent(value);
    case "percent":
      return percent(value / 100);
    default:
      return Number.isInteger(value) ? value.toLocaleString("en-US") : threeDigits(value);
  }
}

/// A key as words: step_time_s → "step time", bubble_over_total → "bubble over total".
export function words(key: string): string {
  const plain = key.endsWith("_per_s") ? `${key.slice(0, -2)}_second` : key.replace(/_(s|bytes|pct)$/, "");
  return plain.replaceAll("_", " ").replace(/\b(mfu|hfu|gpus?|tflops|zero|mape|ape)\b/g,
    (w) => ({ gpus: "GPUs", tflops: "TFLOP/s", zero: "ZeRO", mape: "mean error", ape: "error" })[w] ?? w.toUpperCase());
}

/// `text` within `most` characters; emoji stay whole.
export function shortened(text: string, most: number): string {
  const letters = Array.from(text);
  return letters.length <= most ? text : `${letters.slice(0, most - 1).join("")}…`;
}

// A spreadsheet runs a text that starts with one of these as a formula.
const FORMULA = /^[=+\-@\t\r]/;

function csvCell(value: Scalar | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/// RFC 4180, all digits kept.
export function csv(columns: string[], rows: Scalar[][]): string {
  return [columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}
