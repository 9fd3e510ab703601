// How does it scale?
import { chartCard, tip } from "../chart";
import { h } from "../dom";
import { compact, percent, seconds, shortened } from "../format";
import type { NamedAnswer, Step, Sweep } from "../schema";
import { objectTable } from "../table";
import { type Context, gpusOf, isStep, num, type View } from "../view";

interface Point {
  name: string;
  gpus: number;
  step: number;
  tokens: number;
  sequences: number;
}

interface Series {
  name: string;
  form: "strong" | "weak";
  points: Point[];
}

type Candidate = Point & { model: string };

/// The best of each of a sweep's listed clusters and batches.
function pointsOfSweep(name: string, sweep: Sweep): Candidate[] {
  const scales = (key: string) => ["best", "chosen_step_time_s", "regret_pct"].includes(key) || /^\/(cluster|batch)\//.test(key);
  const model = sweep.scenario?.model ?? sweep.scenario?.file ?? name;
  return (sweep.each ?? []).flatMap(({ best, ...listed }) => (best ? [{
    name: `${name}, best of ${compact(num(best.gpus))} GPUs`, gpus: num(best.gpus), step: num(best.step_time_s), tokens: num(best.tokens_per_s), sequences: num(best.sequences),
    model: [model, ...Object.entries(listed).filter(([key]) => !scales(key)).map(([, value]) => String(value))].join(" "),
  }] : []));
}

function pointOf({ name, answer }: NamedAnswer): Candidate {
  const step = answer as Step;
  const time = num(step.step_time_s);
  const tokens = num(step.tokens_per_s);
  const sequences = num(answer.scenario?.sequences);
  return { name, gpus: gpusOf(answer), step: time, tokens: Number.isNaN(tokens) ? sequences / time : tokens, sequences, model: answer.scenario?.model ?? "" };
}

/// Strong: one model and batch on different GPU counts. Weak: the batch grows with the GPUs.
export function seriesOf(answers: NamedAnswer[]): Series[] {
  const points = answers.flatMap((a) => (a.answer.kind === "sweep" ? pointsOfSweep(a.name, a.answer as Sweep) : [pointOf(a)])).filter((p) => p.gpus > 0 && p.step > 0 && p.tokens > 0);
  const out: Series[] = [];
  const group = (form: Series["form"], key: (p: (typeof points)[number]) => string, name: (p: (typeof points)[number]) => string) => {
    const groups = new Map<string, typeof points>();
    for (const p of points) groups.set(key(p), [...(groups.get(key(p)) ?? []), p]);
    for (const list of groups.values()) {
      const best = new Map<number, (typeof points)[number]>(); // of equal GPU counts the fastest
      for (const p of list) if (!best.has(p.gpus) || p.tokens > (best.get(p.gpus)?.tokens ?? 0)) best.set(p.gpus, p);
      const sorted = [...best.values()].sort((a, b) => a.gpus - b.gpus);
      if (sorted.length > 1) out.push({ name: name(sorted[0]), form, points: sorted });
    }
  };
  group("strong", (p) => `${p.model}|${p.sequences}`, (p) => `${p.model || "model"}, batch ${Number.isNaN(p.sequences) ? "unstated" : p.sequences} (strong)`);
  group("weak", (p) => `${p.model}|${(p.sequences / p.gpus).toPrecision(6)}`, (p) => `${p.model || "model"}, ${(p.sequences / p.gpus).toPrecision(3)} sequences per GPU (weak)`);
  return out.filter((s, i) => s.form === "strong" || !Number.isNaN(s.points[0].sequences) || !out.slice(0, i).length);
}

export const scaling: View = {
  id: "scaling",
  tab: "Scaling",
  question: "How does it scale?",
  takes: (answer) => isStep(answer) || (answer.kind === "sweep" && ((answer as Sweep).each ?? []).length > 1),
  fills: (answers) => seriesOf(answers).length > 0,
  all: true,
  render: ({ answers }: Context) => {
    const series = seriesOf(answers);
    const efficiency = (s: Series, p: Point) => p.tokens / p.gpus / (s.points[0].tokens / s.points[0].gpus);
    const rows = series.flatMap((s) => s.points.map((p) => ({
      series: s.name, gpus: p.gpus, step_time_s: p.step, tokens_per_s: p.tokens, speedup: p.tokens / s.points[0].tokens, efficiency: efficiency(s, p), answer: p.name })));
    const last = series[0].points[series[0].points.length - 1];
    const gpus = series.flatMap((s) => s.points.map((p) => p.gpus));
    const range = { min: Math.min(...gpus) / 1.2, max: Math.max(...gpus) * 1.2 };
    const chart = (title: string, note: string, value: (s: Series, p: Point) => number, text: (v: number) => string, ideal: boolean) => chartCard({
      title, note, height: 340 + 20 * series.length, label: rows.map((r) => `${r.gpus} GPUs ${compact(r.tokens_per_s)} tokens per second, efficiency ${percent(r.efficiency)}`).join("; "),
      numbers: () => ({ columns: ["series", "gpus", "value"], rows: series.flatMap((s) => s.points.map((p) => [s.name, p.gpus, value(s, p)])) }),
      option: (c) => ({
        legend: { type: "plain", orient: "vertical", data: series.map((s) => s.name) },
        grid: { left: 8, right: 24, top: 24 + 20 * series.length, bottom: 8 },
        xAxis: { type: "log", logBase: 2, name: "GPUs", nameLocation: "middle", nameGap: 28, ...range, axisLabel: { formatter: (v: number) => (Number.isInteger(Math.log2(v)) ? compact(v) : "") } },
        yAxis: ideal ? { type: "log", logBase: 2, scale: true, axisLabel: { formatter: text } } : { type: "value", min: 0, axisLabel: { formatter: text } },
        tooltip: { trigger: "item", formatter: (p: { data: { point?: Point }; seriesName: string; value: number[] }) => p.data.point
          ? tip(`${p.data.point.gpus} GPUs`, [[shortened(p.data.point.name, 40), ""], ["step time", seconds(p.data.point.step)], ["tokens per second", compact(p.data.point.tokens)]])
          : tip("ideal", [[`${compact(p.value[0])} GPUs`, text(p.value[1])]]) },
        series: series.flatMap((s, i) => [
          { name: s.name, type: "line", symbol: ["circle", "triangle", "rect", "diamond"][i % 4], symbolSize: 9, itemStyle: { color: c.series[i % 8] }, lineStyle: { width: 2, color: c.series[i % 8] },
            data: s.points.map((p) => ({ value: [p.gpus, value(s, p)], point: p })) },
          { type: "line", showSymbol: false, silent: true, lineStyle: { type: "dashed", width: 1, color: c.muted },
            data: ideal ? s.points.map((p) => [p.gpus, (s.points[0].tokens / s.points[0].gpus) * p.gpus]) : s.points.map((p) => [p.gpus, 1]) },
        ]),
      }),
    }).element;
    return [
      h("p", { class: "lead" }, `On ${last.gpus.toLocaleString("en-US")} GPUs a GPU does ${percent(efficiency(series[0], last))} of what it does on ${series[0].points[0].gpus.toLocaleString("en-US")}.`),
      h("div", { class: "cards" },
        chart("How fast is it on more GPUs?", "Tokens per second; the dashed line is perfect scaling from the smallest.", (_, p) => p.tokens, compact, true),
        chart("How much of each GPU is kept?", "Tokens per second and GPU over those of the smallest.", efficiency, (v) => percent(v, 0), false),
        objectTable("All sizes", rows, ["series", "gpus", "step_time_s", "tokens_per_s", "speedup"], {
          columns: [{ key: "series" }, { key: "gpus", title: "GPUs" }, { key: "step_time_s" }, { key: "tokens_per_s" }, { key: "speedup" }, { key: "efficiency", quantity: "fraction" }, { key: "answer" }] })),
    ];
  },
};
