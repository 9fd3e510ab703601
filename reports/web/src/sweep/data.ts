// What a sweep's rows say: which columns were chosen and which came out, the Pareto front, what each choice costs.
import { Rows } from "../columns";
import type { Scalar, Sweep } from "../schema";

const OUTCOMES = new Set([
  "step_time_s", "low_s", "high_s", "memory_bytes", "peak_bytes", "capacity_bytes", "tokens_per_s", "model_tflops_per_gpu", "mfu", "hfu",
  "bubble_over_total", "bubble_over_ideal", "fits", "cost", "gpu_hours", "status", "reason", "rank", "id", "confirmed_s",
]);

const INTERNAL = new Set(["index"]); // of the search, not of what it found

export interface SweepData {
  rows: Rows;
  axes: string[]; // chosen, with more than one value, most values first
  fixed: string[]; // chosen, the same everywhere
  outcomes: string[];
  time: Float64Array;
  memory: Float64Array;
  fits: (row: number) => boolean;
  best: number; // row, or -1
  front: number[]; // rows, by time
}

export function distinct(rows: Rows, name: string, most = 400): Scalar[] {
  const seen = new Set<Scalar>();
  for (let i = 0; i < rows.count && seen.size <= most; i++) seen.add(rows.at(i, name));
  return [...seen].sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))));
}

/// Rows that no other row beats in both time and memory.
export function paretoFront(candidates: number[], time: Float64Array, memory: Float64Array): number[] {
  const sorted = candidates.filter((i) => !Number.isNaN(time[i]) && !Number.isNaN(memory[i]))
    .sort((a, b) => time[a] - time[b] || memory[a] - memory[b]);
  const front: number[] = [];
  let least = Infinity;
  for (const i of sorted) {
    if (memory[i] >= least) continue;
    front.push(i);
    least = memory[i];
  }
  return front;
}

export function readSweep(sweep: Sweep): SweepData | null {
  if (!sweep.results || sweep.results.rows === 0) return null;
  const rows = new Rows(sweep.results);
  const column = (names: string[]) => {
    const name = names.find((n) => rows.names.includes(n));
    return Float64Array.from({ length: rows.count }, (_, i) => (name ? rows.number(i, name) : NaN));
  };
  const time = column(["step_time_s"]);
  const memory = column(["memory_bytes", "peak_bytes"]);
  const given = Array.isArray(sweep.axes) ? sweep.axes.map(String) : Object.keys(sweep.axes ?? {});
  const chosen = rows.names.filter((n) => given.includes(n) || (!OUTCOMES.has(n) && !INTERNAL.has(n) && !n.endsWith("_s") && !n.endsWith("_bytes")));
  const values = new Map(chosen.map((n) => [n, distinct(rows, n)]));
  const hasFits = rows.names.includes("fits");
  const fits = (row: number) => !hasFits || rows.at(row, "fits") !== false;
  const all = Array.from({ length: rows.count }, (_, i) => i);
  const fitting = all.filter((i) => fits(i) && !Number.isNaN(time[i]));
  return {
    rows, time, memory, fits,
    axes: chosen.filter((n) => (values.get(n)?.length ?? 0) > 1),
    fixed: chosen.filter((n) => values.get(n)?.length === 1),
    outcomes: rows.names.filter((n) => !chosen.includes(n) && !INTERNAL.has(n)),
    best: fitting.reduce((best, i) => (best < 0 || time[i] < time[best] ? i : best), -1),
    front: paretoFront(fitting, time, memory),
  };
}

export interface Choice {
  axis: string;
  value: Scalar;
  best: number; // seconds, of the best row with this value
  slowdown: number; // over the best of all, minus 1
  count: number;
}

/// For each value of each axis: the best that is still reachable, everything else free.
export function sensitivity(data: SweepData, among: number[]): Choice[] {
  const fitting = among.filter((i) => data.fits(i) && !Number.isNaN(data.time[i]));
  const overall = fitting.reduce((best, i) => Math.min(best, data.time[i]), Infinity);
  const out: Choice[] = [];
  for (const axis of data.axes) {
    const best = new Map<Scalar, { best: number; count: number }>();
    for (const i of fitting) {
      const value = data.rows.at(i, axis);
      const known = best.get(value);
      if (known) {
        known.count++;
        known.best = Math.min(known.best, data.time[i]);
      } else best.set(value, { best: data.time[i], count: 1 });
    }
    if (best.size < 2 || best.size > 40) continue;
    for (const [value, b] of best) out.push({ axis, value, best: b.best, slowdown: b.best / overall - 1, count: b.count });
  }
  return out;
}

/// At most `most` of `rows`: `always` first, then an even choice.
export function sampled(rows: number[], most: number, always: number[]): number[] {
  if (rows.length <= most) return rows;
  const kept = new Set(always.filter((i) => rows.includes(i)).slice(0, most));
  const step = rows.length / Math.max(1, most - kept.size);
  for (let x = 0; x < rows.length && kept.size < most; x += step) kept.add(rows[Math.floor(x)]);
  return [...kept];
}
