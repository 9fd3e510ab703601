// Which model shapes near this one run faster?
import { card, figure, missing } from "../card";
import { chartCard, tip } from "../chart";
import { barsChart } from "../charts";
import { h } from "../dom";
import { percent, seconds, shortened, show, threeDigits } from "../format";
import type { Advice, Shape } from "../schema";
import { objectTable } from "../table";
import type { Colours } from "../theme";
import type { Context, View } from "../view";

const DRAWN = 16;
const SYMBOLS = ["circle", "triangle", "rect", "diamond", "pin", "arrow"];

const gain = (shape: Shape) => shape.tflops_gain_pct ?? 0;
const percents = (value: number) => percent(value / 100);

function rulesOf(better: Shape[]): string[] {
  return [...new Set(better.map((s) => s.rule ?? "unstated"))];
}

function sentence(a: Advice, best: Shape | undefined): string {
  if (!best) return `None of ${show(a.tried)} shapes near it runs faster.`;
  return `${best.change ?? "The best"} runs ${percents(gain(best))} more TFLOP/s per GPU${best.rule ? `, for its ${best.rule}` : ""}.`;
}

/// Size against rate: whether what is faster is only smaller.
function sizes(a: Advice, colour: (c: Colours, rule: string) => string): HTMLElement {
  const better = a.better ?? [];
  const rules = rulesOf(better);
  const base = a.model;
  const tipOf = (s: Shape) => tip(shortened(s.change || "the model as it is", 80), [["parameters", `${threeDigits(s.parameters_1e9 ?? NaN)} · 10⁹`], ["TFLOP/s per GPU", threeDigits(s.tflops_per_gpu ?? NaN)], ["step", show(s.step_time_s, "seconds")]]);
  const point = (shape: Shape) => ({ value: [shape.parameters_1e9, shape.tflops_per_gpu], shape });
  return chartCard({
    title: "Is it faster, or only smaller?", height: 360, note: "To the right are more parameters, further up more TFLOP/s per GPU.",
    label: `${better.length} shapes`,
    numbers: () => ({ columns: ["change", "rule", "parameters_1e9", "tflops_per_gpu"], rows: [...(base ? [base] : []), ...better].map((s) => [s.change ?? null, s.rule ?? null, s.parameters_1e9 ?? null, s.tflops_per_gpu ?? null]) }),
    option: (c, narrow) => ({
      legend: { data: ["the model as it is", ...rules] },
      grid: { left: 8, right: 24, top: 42, bottom: 8 },
      xAxis: { type: "value", scale: true, name: "10⁹ parameters", nameLocation: "middle", nameGap: 28, splitNumber: narrow ? 3 : 5, axisLabel: { formatter: threeDigits } },
      yAxis: { type: "value", scale: true, name: "TFLOP/s per GPU", nameLocation: "middle", nameGap: 42, axisLabel: { formatter: threeDigits } },
      tooltip: { trigger: "item", formatter: (p: { data: { shape: Shape } }) => tipOf(p.data.shape) },
      series: [
        ...rules.map((rule, i) => ({ name: rule, type: "scatter", symbol: SYMBOLS[i % SYMBOLS.length], symbolSize: 10, itemStyle: { color: colour(c, rule), opacity: 0.8 }, data: better.filter((s) => (s.rule ?? "unstated") === rule).map(point) })),
        { name: "the model as it is", type: "scatter", symbol: "emptyCircle", symbolSize: 16, itemStyle: { color: c.text, borderWidth: 3 }, data: base ? [point(base)] : [] },
      ],
    }),
  }).element;
}

function rulesCard(a: Advice): HTMLElement | null {
  const rules = Object.entries(a.rules ?? {});
  return rules.length === 0 ? null : card({ title: "What do the rules mean?", body: [h("dl", { class: "meanings" }, rules.map(([rule, meaning]) => [h("dt", {}, rule), h("dd", {}, meaning)]))] });
}

export const advice: View = {
  id: "advice",
  tab: "Shapes",
  question: "Which shapes near this model run faster?",
  takes: (answer) => answer.kind === "advise",
  render: ({ chosen }: Context) => {
    const a = chosen.answer as Advice;
    const better = a.better ?? [];
    const best = better[0];
    const order = [...new Set([...Object.keys(a.rules ?? {}), ...rulesOf(better)])];
    const colour = (c: Colours, rule: string) => c.series[order.indexOf(rule) % c.series.length];
    const drawn = better.slice(0, DRAWN);
    const named = new Map(drawn.map((s, i) => [s.change ?? `shape ${i + 1}`, s]));
    const step = (s: Shape | undefined) => show(s?.step_time_s, "seconds");
    return [
      h("p", { class: "lead" }, sentence(a, best)),
      h("div", { class: "figures" },
        figure("As it is", "model.tflops_per_gpu", a.model?.tflops_per_gpu, a.model?.tflops_per_gpu === undefined ? "–" : threeDigits(a.model.tflops_per_gpu), `TFLOP/s per GPU; ${step(a.model)} a step`),
        figure("At best", "best.tflops_per_gpu", best?.tflops_per_gpu, best?.tflops_per_gpu === undefined ? "–" : threeDigits(best.tflops_per_gpu), best ? `TFLOP/s per GPU; ${step(best)} a step` : "no faster shape"),
        figure("Gain", "best.tflops_gain_pct", best ? gain(best) : undefined, best ? percents(gain(best)) : "–", "TFLOP/s per GPU"),
        figure("Faster shapes", "better", better.length, show(better.length), `of ${show(a.tried)} tried`)),
      h("div", { class: "cards" },
        better.length === 0 ? missing("Which shapes run faster?", "None that was tried. Allow more of them with", "--more PERCENT --fewer PERCENT") : [
          barsChart({
            title: "Which shapes run faster?", long: true, column: "tflops_gain_pct",
            note: `More TFLOP/s per GPU than the model as it is.${better.length > DRAWN ? ` The first ${DRAWN} of ${show(better.length)}; the table has all.` : ""}`,
            entries: drawn.map((s, i): [string, number] => [s.change ?? `shape ${i + 1}`, gain(s)]), text: percents, tick: (v) => percent(v / 100, v % 1 === 0 ? 0 : 1),
            colour: (c, name) => colour(c, named.get(name)?.rule ?? "unstated"),
            detail: (name) => [["rule", named.get(name)?.rule ?? "–"], ["step", seconds(named.get(name)?.step_time_s ?? NaN)]],
          }),
          sizes(a, colour), rulesCard(a),
          objectTable("All shapes", [...(a.model ? [a.model] : []), ...better] as unknown as Record<string, unknown>[], ["change", "rule", "share_pct", "parameters_1e9"], {
            columns: [{ key: "change" }, { key: "rule" }, { key: "share_pct", title: "of what is saved" }, { key: "parameters_1e9", title: "10⁹ parameters" }, { key: "step_time_s" }, { key: "tflops_per_gpu", title: "TFLOP/s" },
              { key: "tflops_gain_pct", title: "gain" }, { key: "tokens_per_s", title: "tokens/s" }, { key: "tokens_gain_pct", title: "gain in tokens/s" }] }),
        ]),
    ];
  },
};
