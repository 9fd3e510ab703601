// Is it fast, does it fit, what bounds it?
import { card, figure, missing, stack, warningsCard } from "../card";
import { chartCard, type Numbers, tip } from "../chart";
import { barsChart, memoryFigure, stageMemoryChart } from "../charts";
import { h } from "../dom";
import { compact, percent, seconds, secondsTick, shortened, show, threeDigits, words } from "../format";
import type { Operation, Parts, Step } from "../schema";
import { inkOn } from "../gantt/painter";
import { objectTable, tableCard } from "../table";
import { type Context, isStep, totalOf, type View } from "../view";

const PARTS = ["compute", "recompute", "tensor", "context", "expert", "pipeline", "data", "copy", "optimizer", "host", "bubble"];
const MEMORY = ["parameters", "gradients", "optimizer", "activations", "workspace", "communication", "framework"];

/// Known names in their order, then what else the answer has.
function ordered(parts: Parts, known: string[]): string[] {
  const names = known.filter((name) => parts[name] !== undefined);
  return names.concat(Object.keys(parts).filter((name) => !known.includes(name) && typeof parts[name] === "number"));
}

/// What a paper measured, and how far off the answer is.
function published(step: Step): HTMLElement | null {
  const known = step.published?.step_time_s;
  if (!known || step.step_time_s === undefined) return null;
  const error = step.step_time_s / known - 1;
  return h("div", { title: shortened(step.published?.source ?? "", 300) }, `published ${seconds(known)} (off by ${percent(error)})`);
}

function figures(step: Step): HTMLElement {
  const measured = step.kind === "run";
  const range = step.low_s !== undefined && step.high_s !== undefined && step.high_s > step.low_s
    ? `${measured ? "steps" : "80%"}: ${seconds(step.low_s)} to ${seconds(step.high_s)}` : measured ? "measured" : "";
  return h("div", { class: "figures" },
    figure("Step time", "step_time_s", step.step_time_s, show(step.step_time_s, "seconds"), [range, published(step)]),
    figure("Throughput", "tokens_per_s", step.tokens_per_s,
      step.tokens_per_s === undefined ? "–" : compact(step.tokens_per_s), "tokens per second"),
    figure("Per GPU", "model_tflops_per_gpu", step.model_tflops_per_gpu,
      step.model_tflops_per_gpu === undefined ? "–" : threeDigits(step.model_tflops_per_gpu), "model TFLOP/s"),
    figure("MFU", "mfu", step.mfu, show(step.mfu, "fraction"),
      step.hfu === undefined ? "" : `of peak; hardware ${percent(step.hfu)}`),
    figure("Bubble", "bubble_over_total", step.bubble_over_total, show(step.bubble_over_total, "fraction"),
      step.bubble_over_ideal === undefined ? "of the step" : `of the step; ${percent(step.bubble_over_ideal)} of ideal`),
    memoryFigure(step.memory ?? {}));
}

/// One sentence from the numbers: how long, whether it fits, what takes most of it.
function sentence(step: Step): string {
  const parts = step.attribution_s ?? {};
  const top = Object.entries(parts).sort((a, b) => b[1] - a[1])[0];
  const fits = step.memory?.fits;
  const said = [
    step.step_time_s === undefined ? "The answer has no step time" : `One step ${step.kind === "run" ? "took" : "takes"} ${seconds(step.step_time_s)}`,
    fits === undefined ? "" : fits ? "it fits in memory" : "it does not fit in memory",
    top && step.step_time_s ? `${words(top[0])} is its largest part (${percent(top[1] / step.step_time_s)})` : "",
  ].filter(Boolean);
  return `${said.join("; ")}.`;
}

function attribution(step: Step): HTMLElement {
  const parts = step.attribution_s;
  const title = "Where does the step go?";
  if (!parts || Object.keys(parts).length === 0) return missing(title, "The answer has no attribution of the step.", "attribution_s");
  const names = ordered(parts, PARTS);
  const whole = names.reduce((sum, name) => sum + parts[name], 0);
  const share = (name: string) => (whole > 0 ? parts[name] / whole : 0);
  const numbers = (): Numbers => ({ columns: ["part", "seconds", "share"], rows: names.map((n) => [n, parts[n], share(n)]) });
  return chartCard({
    title, wide: true, height: 96, numbers, below: legendTable(names, parts, whole),
    note: `Every instant of the reported rank is one of these; they add up to ${seconds(whole)}.`,
    label: names.map((n) => `${words(n)} ${percent(share(n))}`).join(", "),
    option: (c, narrow) => ({
      grid: { left: 2, right: 2, top: 8, bottom: 2 },
      xAxis: { type: "value", max: whole || 1, axisLabel: { formatter: secondsTick, showMaxLabel: false }, splitLine: { show: false } },
      yAxis: { type: "category", data: [""], axisLine: { show: false } },
      tooltip: { trigger: "item", formatter: (p: { seriesName: string; value: number }) => tip(words(p.seriesName), [["time", seconds(p.value)], ["share", percent(share(p.seriesName))]]) },
      series: names.map((name) => ({
        name, type: "bar", stack: "step", data: [parts[name]], barWidth: 46,
        itemStyle: { color: c.part(name), borderColor: c.card, borderWidth: 1,
          ...(name === "bubble" && { decal: { symbol: "rect", color: c.muted, dashArrayX: [1, 0], dashArrayY: [2, 6], rotation: -Math.PI / 4 } }) },
        label: { show: share(name) > (narrow ? 0.18 : 0.06), formatter: `${words(name)}\n${percent(share(name), 0)}`, fontSize: 11, lineHeight: 14,
          ...(name === "bubble" ? { color: c.text, backgroundColor: c.card, padding: [2, 5], borderRadius: 3 } : { color: inkOn(c.part(name)) }) },
      })),
    }),
  }).element;
}

function legendTable(names: string[], parts: Parts, whole: number): HTMLElement {
  return h("ul", { class: "legend", "aria-label": "Parts of the step" }, names.filter((n) => parts[n] > 0).map((name) =>
    h("li", {},
      h("span", { class: `swatch${name === "bubble" ? " hatched" : ""}`, style: `background-color:var(--part-${PARTS.includes(name) ? name : "host"})` }),
      h("span", { class: "legend-name" }, words(name)),
      h("data", { value: String(parts[name]), "data-part": name }, seconds(parts[name])),
      h("span", { class: "note" }, percent(whole > 0 ? parts[name] / whole : 0)))));
}

function memory(step: Step): HTMLElement {
  const stages = step.memory?.stages ?? [];
  const title = "What fills the memory of each stage?";
  if (stages.length === 0) return missing(title, "The answer has no memory by stage.", "memory.stages");
  return stageMemoryChart({ title, stages, kinds: MEMORY.map((kind) => ({ key: kind, name: words(kind), part: kind })), capacity: step.memory?.capacity_bytes });
}

export function operationDetail(operation: Operation): HTMLElement {
  const inputs = operation.inputs;
  const pairs = inputs && typeof inputs === "object" ? Object.entries(inputs as Record<string, unknown>) : [];
  return h("div", { class: "explain" },
    h("h4", {}, shortened(operation.name, 200)),
    h("dl", {},
      h("dt", {}, "Formula"), h("dd", {}, operation.formula ? h("code", {}, operation.formula) : "The answer gives none."),
      h("dt", {}, "Numbers put in"),
      h("dd", {}, pairs.length > 0
        ? pairs.map(([k, v]) => h("span", { class: "pair" }, `${k} = `, h("b", {}, typeof v === "number" ? threeDigits(v) : show(v))))
        : inputs ? String(inputs) : "The answer gives none."),
      h("dt", {}, "Source"), h("dd", {}, operation.source || "The answer gives none."),
      operation.measured !== undefined ? [h("dt", {}, "Rate"), h("dd", {}, operation.measured ? "measured" : "assumed")] : null));
}

function operations(step: Step): HTMLElement {
  const list = step.operations ?? [];
  const title = "Which operations take the time?";
  if (list.length === 0) return missing(title, "The answer has no operations.", "operations");
  const keys = ["name", "phase", "program", "stream", "count", "seconds", "total_s", "share", "source"].filter((k) => k === "total_s" || list.some((o) => o[k as keyof Operation] !== undefined));
  const titles: Record<string, string> = { count: "calls", seconds: "each", total_s: "all", share: "of the step" };
  return tableCard({
    title, note: "Press a row for its formula, the numbers put in and their source.", count: list.length,
    columns: keys.map((key) => ({ key, title: titles[key], ...(key === "share" && { share: (row: number) => list[row].share ?? 0 }) })),
    at: (row, key) => {
      if (key === "total_s") return totalOf(step, list[row]);
      const value = list[row][key as keyof Operation];
      return value === undefined || value === null ? null : typeof value === "object" ? JSON.stringify(value) : (value as string | number | boolean);
    },
    sortBy: "total_s", descending: true, detail: (row) => operationDetail(list[row]),
  });
}

export const overview: View = {
  id: "overview",
  tab: "Overview",
  question: "Is it fast, does it fit, what bounds it?",
  takes: isStep,
  render: ({ chosen }: Context) => {
    const step = chosen.answer as Step;
    const exposed = Object.entries(step.exposed_communication_s ?? {}).filter(([, v]) => v > 0);
    const gains = (step.what_if ?? []).map((w): [string, number] => [`no ${w.kind}`, w.gain_s]);
    const whole = step.step_time_s;
    const ofStep = (v: number) => (whole ? `${seconds(v)} · ${percent(v / whole)}` : seconds(v));
    const losses = (step.losses ?? []).map((loss, i) => ({ step: i, loss }));
    return [
      h("p", { class: "lead" }, sentence(step)),
      figures(step),
      h("div", { class: "cards" },
        warningsCard(step.warnings),
        attribution(step),
        memory(step),
        stack(exposed.length > 0 ? barsChart({ title: "Which communication is exposed?", note: "Time in which no compute hides it.", entries: exposed, text: ofStep })
          : card({ title: "Which communication is exposed?", body: [h("p", { class: "note" }, step.exposed_communication_s ? "None: compute hides all of it." : "The answer does not say.")] }),
        gains.length > 0 ? barsChart({ title: "What would make it faster?", note: "How much shorter the step would be if that work took no time. Gains do not add up.", entries: gains, text: ofStep, colour: (c) => c.good }) : null),
        operations(step),
        losses.length > 0 ? objectTable("What were the losses?", losses, ["step", "loss"]) : null),
    ];
  },
};
