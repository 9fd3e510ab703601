// How fast does it generate?
import { figure, missing, warningsCard } from "../card";
import { chartCard, tip } from "../chart";
import { memoryFigure, stageMemoryChart } from "../charts";
import { h } from "../dom";
import { percent, seconds, show, threeDigits, words } from "../format";
import { inkOn } from "../gantt/painter";
import type { Generation, NamedAnswer, Parts } from "../schema";
import { objectTable } from "../table";
import type { Context, View } from "../view";

// What a step is spent on, by whose colour it has.
const PARTS = [
  { key: "products_s", part: "compute", name: "products and collectives" },
  { key: "attention_s", part: "tensor", name: "attention" },
  { key: "head_s", part: "data", name: "head" },
  { key: "waiting_s", part: "expert", name: "waiting for launches" },
  { key: "host_s", part: "host", name: "host" },
];
const MEMORY = [
  { key: "weights_bytes", part: "parameters", name: "weights" },
  { key: "cache_bytes", part: "activations", name: "cache" },
  { key: "states_bytes", part: "gradients", name: "states" },
  { key: "workspace_bytes", part: "workspace", name: "workspace" },
  { key: "framework_bytes", part: "framework", name: "framework" },
];

const number = (value: unknown): string => (typeof value === "number" ? threeDigits(value) : "–");
const time = (value: number | undefined): string => show(value, "seconds");

function sentence(a: Generation): string {
  if (a.ttft_s === undefined || a.tpot_s === undefined) return "The answer has no times.";
  const output = a.scenario?.output;
  return `The first token comes after ${time(a.ttft_s)}, each further one after ${time(a.tpot_s)}; ${typeof output === "number" ? `an answer of ${show(output)} tokens` : "an answer"} takes ${time(a.total_s)}.`;
}

function figures(a: Generation): HTMLElement {
  const price = a.price_per_million_tokens ?? 0;
  const batch = a.memory?.most_batch;
  return h("div", { class: "figures" },
    figure("First token", "ttft_s", a.ttft_s, time(a.ttft_s), typeof a.scenario?.prompt === "number" ? `after a prompt of ${show(a.scenario.prompt)}` : ""),
    figure("Each further token", "tpot_s", a.tpot_s, time(a.tpot_s), a.tpot_s ? `${threeDigits(1 / a.tpot_s)} tokens a second for one user` : ""),
    figure("Whole answer", "total_s", a.total_s, time(a.total_s), a.requests_per_s === undefined ? "" : `${threeDigits(a.requests_per_s)} requests a second`),
    figure("Output", "output_tokens_per_s", a.output_tokens_per_s, number(a.output_tokens_per_s), "tokens per second, all users"),
    figure("Cost", "gpu_seconds_per_request", a.gpu_seconds_per_request, number(a.gpu_seconds_per_request),
      `GPU-seconds a request${price > 0 ? `; ${threeDigits(price)} per million tokens` : ""}`),
    figure("Energy", "joules_per_output_token", a.joules_per_output_token, number(a.joules_per_output_token), "J per output token"),
    memoryFigure(a.memory ?? {}),
    batch !== undefined && batch < 1e9 ? figure("Largest batch", "memory.most_batch", batch, show(batch), "whose cache fits") : null);
}

/// Both kinds of step as shares of themselves: one lasts a hundred times as long as the other.
function steps(a: Generation): HTMLElement {
  const title = "Where does a step go?";
  const rows: [string, Parts][] = [["one token for all", a.decode_step ?? {}], ["prompts", a.prompt_step ?? {}]];
  const sum = (parts: Parts) => PARTS.reduce((s, { key }) => s + (parts[key] ?? 0), 0);
  const known = rows.filter(([, parts]) => sum(parts) > 0);
  if (known.length === 0) return missing(title, "The answer has no parts of a step.", "decode_step");
  const parts = PARTS.filter(({ key }) => known.some(([, p]) => p[key] > 0));
  const share = (p: Parts, key: string) => (p[key] ?? 0) / sum(p);
  return chartCard({
    title, height: 340, note: known.map(([name, p]) => `${words(name)}: ${seconds(sum(p))}`).reverse().join("; "),
    label: known.map(([name, p]) => `${name}: ${parts.map((k) => `${k.name} ${percent(share(p, k.key))}`).join(", ")}`).join("; "),
    numbers: () => ({ columns: ["step", ...parts.map((k) => k.key)], rows: known.map(([name, p]) => [name, ...parts.map((k) => p[k.key] ?? null)]) }),
    option: (c, narrow) => ({
      legend: { type: "plain" },
      grid: { left: 8, right: 16, top: narrow ? 76 : 56, bottom: 4 },
      xAxis: { type: "value", max: 1, axisLabel: { formatter: (v: number) => percent(v, 0) }, interval: narrow ? 0.5 : 0.25 },
      yAxis: { type: "category", data: known.map(([name]) => name), axisLabel: { color: c.text } },
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (items: { dataIndex: number }[]) => {
        const [name, p] = known[items[0].dataIndex];
        return tip(name, [...parts.map((k): [string, string, string] => [k.name, `${seconds(p[k.key] ?? 0)} · ${percent(share(p, k.key))}`, c.part(k.part)]), ["step", seconds(sum(p))]]);
      } },
      series: parts.map((k) => ({
        name: k.name, type: "bar", stack: "step", barMaxWidth: 64, itemStyle: { color: c.part(k.part) }, data: known.map(([, p]) => share(p, k.key)),
        label: { show: true, fontSize: 11, color: inkOn(c.part(k.part)), formatter: (x: { value: number }) => (x.value > (narrow ? 0.2 : 0.1) ? percent(x.value, 0) : "") },
      })),
    }),
  }).element;
}

/// Every generation of the report, when it has several: what one user feels against what all of them get.
function choices(answers: NamedAnswer[]): HTMLElement | null {
  if (answers.length < 2) return null;
  const rows = answers.map(({ name, answer }) => {
    const a = answer as Generation;
    return { answer: name, batch: a.scenario?.batch ?? null, gpus: a.scenario?.gpus ?? null, ttft_s: a.ttft_s ?? null, tpot_s: a.tpot_s ?? null, output_tokens_per_s: a.output_tokens_per_s ?? null,
      joules_per_output_token: a.joules_per_output_token ?? null, peak_bytes: a.memory?.peak_bytes ?? null, fits: a.memory?.fits ?? null };
  });
  return objectTable("Which answers fast, which serves many?", rows, ["answer"], {
    columns: [{ key: "answer" }, { key: "batch" }, { key: "gpus", title: "GPUs" }, { key: "ttft_s", title: "first token" }, { key: "tpot_s", title: "each further" },
      { key: "output_tokens_per_s", title: "tokens/s" }, { key: "joules_per_output_token", title: "J a token" }, { key: "peak_bytes", title: "memory" }, { key: "fits" }] });
}

export const generation: View = {
  id: "generation",
  tab: "Generation",
  question: "How fast does it generate?",
  takes: (answer) => answer.kind === "generation",
  render: ({ answers, chosen }: Context) => {
    const a = chosen.answer as Generation;
    const stages = (a.memory?.stages ?? []).map((s, i) => ({ stage: i, ...s }));
    const title = "What fills the memory of each stage?";
    return [
      h("p", { class: "lead" }, sentence(a)),
      figures(a),
      h("div", { class: "cards" },
        warningsCard(a.warnings),
        steps(a),
        stages.length > 0 ? stageMemoryChart({ title, stages, kinds: MEMORY, capacity: a.memory?.capacity_bytes })
          : missing(title, "The answer has no memory by stage.", "memory.stages"),
        choices(answers)),
    ];
  },
};
