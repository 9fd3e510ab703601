// Answers of every kind as the verbs print them, for the tests of the page. Times come from a
// 1F1B schedule played here in a few lines, so that the shapes are real; the numbers are invented and seeded.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/// 1F1B: rank, phase and microbatch in order, each as soon as its rank and its input are free.
function play(stages, microbatches, forward, backward, message) {
  const orders = Array.from({ length: stages }, (_, s) => {
    const order = [];
    const warm = Math.min(stages - s - 1, microbatches);
    for (let m = 0; m < warm; m++) order.push(["forward", m]);
    for (let m = 0; m < microbatches; m++) {
      if (m + warm < microbatches) order.push(["forward", m + warm]);
      order.push(["backward", m]);
    }
    return order;
  });
  const end = { forward: [], backward: [] };
  for (const phase of ["forward", "backward"]) for (let s = 0; s < stages; s++) end[phase].push(new Float64Array(microbatches).fill(NaN));
  const free = new Float64Array(stages);
  const at = new Int32Array(stages);
  const spans = [];
  for (let moved = true; moved; ) {
    moved = false;
    for (let s = 0; s < stages; s++) {
      while (at[s] < orders[s].length) {
        const [phase, m] = orders[s][at[s]];
        const before = phase === "forward" ? (s === 0 ? 0 : end.forward[s - 1][m]) : s === stages - 1 ? end.forward[s][m] : end.backward[s + 1][m];
        if (Number.isNaN(before)) break;
        const sent = before === 0 ? 0 : before + message;
        const start = Math.max(free[s], sent);
        const length = phase === "forward" ? forward : backward;
        spans.push([s, "compute", "task", phase, 0, m, start, length]);
        end[phase][s][m] = free[s] = start + length;
        const last = phase === "forward" ? s === stages - 1 : s === 0;
        if (!last) spans.push([s, "pipeline", "message", phase, 0, m, start + length, message]);
        at[s]++;
        moved = true;
      }
    }
  }
  const finish = Math.max(...free);
  for (let s = 0; s < stages; s++) {
    spans.push([s, "data", "epilogue", "all-grads-sync", 0, -1, free[s], 0.04 * finish]);
    spans.push([s, "compute", "epilogue", "optimizer", 0, -1, free[s] + 0.04 * finish, 0.01 * finish]);
  }
  return { spans, end: finish * 1.05, busy: microbatches * (forward + backward) };
}

const GIB = 2 ** 30;

function memoryOf(stages) {
  return Array.from({ length: stages }, (_, stage) => {
    const parts = {
      parameters: 2.6 * GIB, gradients: 5.1 * GIB, optimizer: 15.3 * GIB, activations: (2.1 * (stages - stage) + 4) * GIB,
      workspace: 1.2 * GIB, communication: 0.6 * GIB, framework: 2.4 * GIB,
    };
    return { stage, ...parts, total: Object.values(parts).reduce((a, b) => a + b, 0) };
  });
}

function memoryCurves(step, stages) {
  return stages.map((s) => {
    const curve = { stage: s.stage, time_s: [0], bytes: [s.total - s.activations] };
    const changes = step.spans.filter((x) => x[0] === s.stage && x[2] === "task").map((x) => (x[3] === "forward" ? [x[6], 1] : [x[6] + x[7], -1])).sort((a, b) => a[0] - b[0]);
    let held = 0;
    const most = Math.max(...changes.map(([, by]) => (held += by)));
    held = 0;
    for (const [time, by] of changes) {
      held += by;
      curve.time_s.push(time);
      curve.bytes.push(s.total - s.activations + (s.activations * held) / most);
    }
    return curve;
  });
}

const OPERATIONS = [
  ["qkv", 0.13], ["attention", 0.17], ["projection", 0.06], ["mlp_up", 0.21], ["mlp_down", 0.2], ["layer_norm", 0.05], ["gelu", 0.05], ["dropout_add", 0.07], ["tensor_all_reduce", 0.06],
];

export function prediction({ stages = 8, microbatches = 24, timeline = true, name = "gpt3_175b", data = 1, faster = 1, kind = "prediction", measured = false } = {}) {
  const step = play(stages, microbatches, 0.212 * faster, 0.431 * faster, 0.004);
  const total = step.end;
  const part = { compute: step.busy * 0.86, recompute: 0, tensor: step.busy * 0.14, context: 0, expert: 0, pipeline: 0.012 * total, data: 0.04 * total, copy: 0, optimizer: 0.01 * total, host: 0.004 * total };
  part.bubble = total - Object.values(part).reduce((a, b) => a + b, 0);
  const stagesMemory = memoryOf(stages);
  const peak = Math.max(...stagesMemory.map((s) => s.total));
  const operations = ["forward", "backward"].flatMap((phase) =>
    OPERATIONS.map(([op, share]) => {
      const seconds = step.busy * share * (phase === "forward" ? 0.33 : 0.67);
      return {
        name: op, phase, program: "transformer", stream: op.startsWith("tensor") ? "tensor" : "compute", count: microbatches * 12, seconds: seconds / (microbatches * 12), share: seconds / total,
        formula: "max(2 m n k / rate, bytes / bandwidth) + launch", inputs: "m = 2048, n = 4608, k = 12288, rate = 271 TFLOP/s",
        source: "GEMM table of the A100, bench/gemm.csv", measured: !op.includes("dropout"),
      };
    }));
  return {
    kind, schema_version: 1, step_time_s: total, low_s: total * 0.94, high_s: total * 1.07, makespan_s: total * 1.01,
    tokens_per_s: (microbatches * data * 2048) / total, model_tflops_per_gpu: 148.2 / faster, mfu: 0.475 / faster, hfu: 0.633 / faster,
    bubble_over_ideal: (stages - 1) / microbatches, bubble_over_total: part.bubble / total,
    attribution_s: part, exposed_communication_s: { tensor: part.tensor, pipeline: part.pipeline, data: part.data, context: 0, expert: 0 },
    memory: { peak_bytes: peak, capacity_bytes: 79.15 * GIB, fits: peak < 79.15 * GIB, stages: stagesMemory },
    operations, what_if: [{ kind: "backward", gain_s: part.compute * 0.66 }, { kind: "forward", gain_s: part.compute * 0.3 }, { kind: "message", gain_s: part.pipeline }],
    fidelity: "event", warnings: ["dropout_add has no measured rate on this GPU; 0.7 of the memory's peak is assumed"],
    scenario: {
      file: `scenarios/examples/${name}.json`, question: "How long is one step of GPT-3 175B on 64 A100s?", model: name, gpu: "a100_sxm_80gb",
      gpus: 8 * stages * data, nodes: stages * data, sequences: microbatches * data, microbatch: 1, sequence: 2048,
      strategy: { tensor: 8, pipeline: stages, data, context: 1, expert: 1, schedule: "1f1b", chunks_per_rank: 1, recompute: "none", precision: "bf16", optimizer_sharding: "none" },
    },
    published: { step_time_s: total * 0.98, source: "Korthikanti et al., arXiv:2205.05198, Table 5" },
    ...(kind === "run" && { clock: "virtual", device: "cpu", losses: [10.41, 10.38, 10.22, 10.05, 9.81] }),
    ...(timeline && {
      timeline: { ranks: "pipeline", rank_count: stages, columns: ["rank", "stream", "kind", "phase", "chunk", "microbatch", "start_s", "duration_s"], spans: step.spans },
      memory_over_time: memoryCurves(step, stagesMemory),
    }),
    provenance: {
      version: "0.1.0", commit: "0123456789abcdef", profile: "a100_sxm_80gb, megatron_core", fidelity: "event", date: "2026-11-21",
      command: `isochrone predict scenarios/examples/${name}.json --fidelity event --json --timeline`, ...(measured && { machine: "2 cores of a virtual machine", clock: "virtual" }),
    },
  };
}

export function sweep(count) {
  const random = generator(7);
  const degrees = [1, 2, 4, 8];
  const schedules = ["1f1b", "interleaved_1f1b", "zb_h1", "gpipe"];
  const results = [];
  const pick = (list) => list[Math.floor(random() * list.length)];
  for (let i = 0; i < count; i++) {
    const tensor = pick(degrees), pipeline = pick([1, 2, 4, 8, 16]), microbatch = pick([1, 2, 4, 8]), schedule = pick(schedules), recompute = pick(["none", "selective", "full"]), sharding = pick(["none", "zero1", "zero3"]);
    const ideal = 9.1 * (1 + 0.03 * Math.log2(tensor) ** 1.7) * (1 + ((pipeline - 1) * microbatch * { "1f1b": 1, interleaved_1f1b: 0.5, zb_h1: 0.4, gpipe: 1.1 }[schedule]) / 160) * { none: 1, selective: 1.04, full: 1.31 }[recompute] / (0.82 + 0.06 * Math.log2(microbatch)) * (sharding === "zero3" ? 1.12 : 1);
    const memory = (((sharding === "zero3" ? 60 : sharding === "zero1" ? 190 : 460) * 6) / (tensor * pipeline) / 8 + ({ none: 34, selective: 14, full: 3.4 }[recompute] * microbatch * (schedule === "gpipe" ? 3 : 1)) / tensor + 4) * GIB;
    const step = ideal * (1 + 0.05 * random());
    results.push({ tensor, pipeline, data: 128 / (tensor * Math.min(pipeline, 16)), microbatch, schedule, recompute, optimizer_sharding: sharding, sequence_parallel: tensor > 1, step_time_s: step, memory_bytes: Math.round(memory), tokens_per_s: 1536 * 2048 / step, mfu: 4.4 / step, bubble_over_total: (pipeline - 1) / (pipeline - 1 + 192 / microbatch), fits: memory < 79.15 * GIB });
  }
  const fitting = results.filter((r) => r.fits).sort((a, b) => a.step_time_s - b.step_time_s);
  return {
    kind: "sweep", schema_version: 1, legal: count * 3, pruned: count * 2, priced: count, out_of_memory: results.filter((r) => !r.fits).length, elapsed_s: 0.113 + count * 1.1e-6, configurations_per_s: count / (0.113 + count * 1.1e-6),
    axes: ["tensor", "pipeline", "data", "microbatch", "schedule", "recompute", "optimizer_sharding", "sequence_parallel"], results, best: fitting.slice(0, 10), pareto: fitting.slice(0, 3),
    scenario: { file: "scenarios/sweeps/gpt3_on_128.json", question: "Which configuration of GPT-3 175B is fastest on 128 A100s?", model: "gpt3_175b" },
    provenance: { version: "0.1.0", commit: "0123456789abcdef", fidelity: "analytic", command: "isochrone sweep scenarios/sweeps/gpt3_on_128.json --json" }, warnings: [],
  };
}

export function score(shift = 0) {
  const random = generator(11);
  const families = { korthikanti: ["fit", 8, 0.03], sc21_table1: ["held_out", 10, 0.07], vtrain_multi: ["held_out", 96, 0.08], zero_bubble: ["held_out", 36, 0.06], bloom: ["held_out", 14, 0.18], megatron_core: ["held_out", 22, 0.05] };
  const rows = [];
  const table = [];
  for (const [family, [role, n, spread]] of Object.entries(families)) {
    const errors = [];
    for (let i = 0; i < n; i++) {
      const measured = 10 ** (random() * 2.3 - 0.5);
      const error = spread * (random() + random() + random() - 1.35) + (family === "bloom" ? shift : 0);
      if (i === 3 && n > 20) {
        rows.push({ id: `${family}_${i}`, family, role, predicted_s: null, measured_s: measured, error_pct: null, low_s: null, high_s: null, status: "skipped", reason: "sliding-window attention is not stated" });
        continue;
      }
      const predicted = measured * (1 + error);
      errors.push(error);
      rows.push({ id: `${family}_${i}`, family, role, predicted_s: predicted, measured_s: measured, error_pct: 100 * error, low_s: predicted * 0.9, high_s: predicted * 1.12, status: "scored", reason: "" });
    }
    const absolute = errors.map(Math.abs).sort((a, b) => a - b);
    const mean = (x) => (100 * x.reduce((a, b) => a + b, 0)) / x.length;
    table.push({ family, role, rows: n, scored: errors.length, mape_pct: mean(absolute), median_ape_pct: 100 * absolute[Math.floor(absolute.length / 2)], bias_pct: mean(errors), max_ape_pct: 100 * absolute[absolute.length - 1], regret_pct: n > 20 ? 1.4 : null, coverage_pct: (100 * errors.filter((e) => Math.abs(e) < 0.1).length) / errors.length, interval_width_pct: 22 });
  }
  return { kind: "score", schema_version: 1, families: table, rows, provenance: { version: "0.1.0", commit: shift ? "fedcba9876543210" : "0123456789abcdef", command: "isochrone score scenarios/published --json" }, warnings: [] };
}

export function comparison() {
  const random = generator(3);
  const operations = OPERATIONS.map(([name, share]) => {
    const measured_s = share * 3.1;
    const predicted_s = measured_s * (0.85 + 0.3 * random());
    return { program: "transformer", name, phase: "forward", predicted_s, measured_s, error_pct: 100 * (predicted_s / measured_s - 1), count: 48 };
  });
  operations.push({ name: "host_gap", predicted_s: null, measured_s: 0.08, error_pct: null, count: 12 });
  const sum = (key) => operations.reduce((s, o) => s + (o[key] ?? 0), 0);
  return { kind: "comparison", schema_version: 1, predicted_s: sum("predicted_s"), measured_s: sum("measured_s"), operations, provenance: { version: "0.1.0", command: "isochrone compare prediction.json run.json --json", machine: "2 cores of a virtual machine", clock: "virtual" } };
}

/// As score of published generations prints it: times of two metrics.
export function inferenceScore() {
  const random = generator(9);
  const rows = Array.from({ length: 24 }, (_, i) => {
    const measured_s = 10 ** (random() * 2 - 2);
    const predicted_s = measured_s * (0.8 + 0.4 * random());
    return { line: i + 2, source: "vllm_2023", metric: i % 2 ? "tpot_s" : "ttft_s", role: "held_out", status: "scored", predicted_s, measured_s, error_pct: 100 * (predicted_s / measured_s - 1), engine: "vllm", reason: "" };
  });
  const families = ["ttft_s", "tpot_s"].map((metric) => {
    const errors = rows.filter((r) => r.metric === metric).map((r) => Math.abs(r.error_pct));
    return { source: "vllm_2023", metric, hardware: "all", role: "held_out", status: "scored", rows: errors.length, scored: errors.length, mape_pct: errors.reduce((a, b) => a + b, 0) / errors.length, median_ape_pct: 9.1, bias_pct: 0.4, max_ape_pct: Math.max(...errors) };
  });
  return { kind: "inference_score", schema_version: 1, families, rows, provenance: { version: "0.1.0", commit: "0123456789abcdef", command: "isochrone score generations.csv --json" } };
}

export function network() {
  const random = generator(5);
  const links = Array.from({ length: 96 }, (_, i) => {
    const load = Math.min(0.97, 0.15 + 0.9 * random() ** 2.2);
    return { name: i < 64 ? `node${Math.floor(i / 8)}.nic${i % 8}` : `leaf${Math.floor((i - 64) / 8)}.up${i % 8}`, load, busy_s: load * 18.1 };
  });
  return { kind: "network", schema_version: 1, step_time_s: 18.1, links, provenance: { version: "0.1.0", fidelity: "network", command: "isochrone predict scenarios/examples/gpt3_175b.json --fidelity network --json" } };
}

const EVIL = `"quotes" 'and' </script><script>document.title='broken'</script><img src=x onerror="document.title='broken'"> 😀👩‍🚀 =1+1 ${"\u2028"}`;

/// Every name is hostile: in files, questions, operations, links, rows.
export function hostile() {
  const answer = prediction({ stages: 2, microbatches: 3 });
  const long = EVIL + "x".repeat(10000);
  answer.scenario.file = long;
  answer.scenario.question = EVIL;
  answer.warnings = [long];
  answer.operations.forEach((o) => { o.name = `${EVIL}${o.name}`; o.formula = EVIL; o.source = EVIL; o.inputs = EVIL; });
  answer.timeline.spans.forEach((span) => { if (span[2] === "epilogue") span[3] = long; });
  answer.what_if.push({ kind: EVIL, gain_s: 0.1 });
  answer.attribution_s[EVIL] = 0.01;
  answer.provenance.command = EVIL;
  answer.links = [{ name: long, load: 0.5, busy_s: 1 }, { name: EVIL, load: 0.9, busy_s: 2 }];
  return answer;
}

/// { name: answer } as FOLDER/name.json.
export function write(folder, answers) {
  mkdirSync(folder, { recursive: true });
  for (const [name, answer] of Object.entries(answers)) writeFileSync(join(folder, `${name}.json`), JSON.stringify(answer));
}
