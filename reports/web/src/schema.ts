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

interface Common {
  kind: string;
  schema_version?: number;
  scenario?: Scenario;
  provenance?: Provenance;
  warnings?: string[];
  links?: Link[];
  fidelity?: string;
  elapsed_s?: number;
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
  memory?: { peak_bytes?: number; capacity_bytes?: number; fits?: boolean; stages?: StageMemory[] };
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

export interface Network extends Common {
  kind: "network";
}

export type Answer = Step | Sweep | Score | Comparison | Network;

export interface NamedAnswer<T extends Answer = Answer> {
  name: string;
  answer: T;
}

export interface Report {
  title: string;
  command: string;
  answers: NamedAnswer[];
}
