// What the verbs print with --json, as types; docs/schema.md says the same in words. Every key but `kind` may be missing:
// a view then says what is missing. The lists that reports/pack.cc packs have their packed type here.

export interface PackedColumn {
  values?: Scalar[];
  dictionary?: Scalar[];
  bits?: 0 | 8 | 16;
  float?: 32 | 64;
  varint?: number;
  delta?: boolean;
  data?: string;
}
export type Scalar = string | number | boolean | null;

export interface PackedRows {
  rows: number;
  order?: string[];
  columns: Record<string, PackedColumn>;
  omitted: number;
  single_precision?: boolean;
}

export type Parts = Record<string, number>;

export interface StageMemory extends Parts {
  stage: number;
  total: number;
}

export interface Operation {
  name: string;
  phase?: string;
  program?: string;
  stream?: string;
  count?: number; // calls in a step
  seconds?: number; // of one call
  share?: number; // of all calls, of the step
  formula?: string;
  inputs?: unknown;
  source?: string;
  measured?: boolean;
}

export interface Scenario {
  file?: string;
  question?: string;
  model?: string;
  gpu?: string;
  gpus?: number;
  nodes?: number;
  sequences?: number;
  microbatch?: number;
  sequence?: number;
  strategy?: Record<string, unknown>;
  [other: string]: unknown; // of a generation or of serving: what was asked
}

export interface Provenance {
  version?: string;
  commit?: string;
  profile?: string;
  fidelity?: string;
  machine?: string;
  clock?: string;
  command?: string;
  date?: string;
  [other: string]: unknown;
}

export interface CriticalStep {
  rank: number;
  start_s: number;
  duration_s: number;
  name?: string;
  phase?: string;
  chunk?: number;
  microbatch?: number;
  stream?: string;
}

export interface Timeline {
  ranks?: "pipeline" | "world";
  rank_count?: number;
  names?: string[];
  packed: PackedRows;
}

export interface MemoryCurve {
  stage: number;
  points: number;
  omitted: number;
  time_s: PackedColumn;
  bytes: PackedColumn;
}

export interface Link {
  name: string;
  load?: number;
  busy_s?: number;
  bytes?: number;
  [other: string]: unknown;
}

/// Of the network fidelity: the whole cluster.
export interface NetworkSummary {
  fabric?: string;
  engine?: string;
  messages?: number;
  uncontended_s?: number;
  contention_s?: number;
  bisection_bytes_per_s?: number;
  elsewhere?: { rank_order?: string; step_time_s?: number; contention_s?: number } | null;
  tiers?: { from?: string; to?: string; links?: number; bytes?: number; utilisation?: number; most_utilised?: number }[];
}

interface Common {
  kind: string;
  schema_version?: number;
  scenario?: Scenario;
  provenance?: Provenance;
  warnings?: string[];
  links?: Link[];
  network?: NetworkSummary;
  fidelity?: string;
  elapsed_s?: number;
}

export interface Memory {
  peak_bytes?: number;
  capacity_bytes?: number;
  fits?: boolean;
}

/// predict and run: the same keys, predicted or measured.
export interface Step extends Common {
  kind: "prediction" | "run";
  step_time_s?: number;
  low_s?: number;
  high_s?: number;
  makespan_s?: number;
  tokens_per_s?: number;
  model_tflops_per_gpu?: number;
  mfu?: number;
  hfu?: number;
  bubble_over_ideal?: number;
  bubble_over_total?: number;
  attribution_s?: Parts;
  exposed_communication_s?: Parts;
  memory?: Memory & { stages?: StageMemory[] };
  operations?: Operation[];
  timeline?: Timeline;
  memory_over_time?: MemoryCurve[];
  critical_path?: CriticalStep[];
  what_if?: { kind: string; gain_s: number }[];
  losses?: number[];
  published?: { step_time_s: number; source?: string };
  clock?: string;
  device?: string;
}

export interface Sweep extends Common {
  kind: "sweep";
  legal?: number;
  pruned?: number;
  priced?: number;
  out_of_memory?: number;
  configurations_per_s?: number;
  axes?: string[] | Record<string, unknown>;
  results?: PackedRows;
  best?: Record<string, unknown>[];
  each?: ({ best?: Record<string, unknown> | null; chosen_step_time_s?: number; regret_pct?: number } & Record<string, unknown>)[]; // with --each
  pareto?: Record<string, unknown>[];
}

export interface Family {
  family: string;
  role?: string;
  rows?: number;
  scored?: number;
  mape_pct?: number;
  median_ape_pct?: number;
  bias_pct?: number;
  max_ape_pct?: number;
  regret_pct?: number | null;
  coverage_pct?: number | null;
  interval_width_pct?: number | null;
}

export interface ScoredRow {
  id: string;
  family?: string;
  role?: string;
  predicted_s?: number | null;
  measured_s?: number | null;
  error_pct?: number | null;
  low_s?: number | null;
  high_s?: number | null;
  status?: string;
  reason?: string;
}

export interface Score extends Common {
  kind: "score";
  families?: Family[];
  rows?: ScoredRow[];
}

export interface ComparedOperation {
  name: string;
  program?: string;
  phase?: string;
  predicted_s?: number | null;
  measured_s?: number | null;
  error_pct?: number | null;
  count?: number;
}

export interface Comparison extends Common {
  kind: "comparison";
  predicted_s?: number;
  measured_s?: number;
  operations?: ComparedOperation[];
}

/// predict of a scenario with "workload": "generate".
export interface Generation extends Common {
  kind: "generation";
  ttft_s?: number;
  tpot_s?: number;
  total_s?: number;
  output_tokens_per_s?: number;
  requests_per_s?: number;
  gpu_seconds_per_request?: number;
  price_per_million_tokens?: number;
  joules_per_output_token?: number;
  prompt_step?: Parts;
  decode_step?: Parts;
  memory?: Memory & { most_batch?: number; stages?: Parts[] };
}

export interface Percentiles {
  mean_s?: number;
  p50_s?: number;
  p90_s?: number;
  p99_s?: number;
}

export interface Moment {
  start_s: number;
  end_s: number;
  prompt_share: number;
  decode_share: number;
  waiting: number;
  answering: number;
  watts: number;
}

/// predict of a scenario with "workload": "serve".
export interface Serving extends Common {
  kind: "serving";
  requests?: number;
  turned_away?: number;
  ttft?: Percentiles;
  tpot?: Percentiles;
  latency?: Percentiles;
  gap_p99_s?: number;
  requests_per_s?: number;
  output_tokens_per_s?: number;
  objective?: { ttft_s: number; tpot_s: number; gap_s: number; share: number };
  kept_share?: number;
  goodput_requests_per_s?: number;
  highest_rate_per_s?: number;
  utilisation?: number;
  joules_per_output_token?: number;
  preemptions?: number;
  overloaded?: boolean;
  over_time?: Moment[];
}

export interface Shape {
  change?: string;
  rule?: string | null;
  share_pct?: number | null;
  parameters_1e9?: number;
  step_time_s?: number;
  tflops_per_gpu?: number;
  tflops_gain_pct?: number | null;
  tokens_per_s?: number;
  tokens_gain_pct?: number | null;
}

export interface Advice extends Common {
  kind: "advise";
  tried?: number;
  model?: Shape;
  better?: Shape[];
  rules?: Record<string, string>; // what each means
}

/// score of published generations: one error per source, metric and kind of GPU.
export interface InferenceScore extends Common {
  kind: "inference_score";
  families?: (Omit<Family, "family"> & { source: string; metric: string; hardware?: string; status?: string })[];
  rows?: (Omit<ScoredRow, "id" | "family"> & { line: number; source: string; metric: string })[];
}

export interface Network extends Common {
  kind: "network";
  step_time_s?: number;
}

export type Answer = Step | Sweep | Score | InferenceScore | Comparison | Generation | Serving | Advice | Network;

export interface NamedAnswer<T extends Answer = Answer> {
  name: string;
  answer: T;
}

export interface Report {
  title: string;
  command: string;
  answers: NamedAnswer[];
}
