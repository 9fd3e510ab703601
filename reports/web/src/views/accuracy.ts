// Was the prediction right?
import { figure, missing, stack } from "../card";
import { chartCard, tip } from "../chart";
import { h } from "../dom";
import { percent, seconds, secondsTick, shortened, show } from "../format";
import type { ComparedOperation, Comparison, Family, InferenceScore, Score, ScoredRow } from "../schema";
import type { Colours } from "../theme";
import { objectTable } from "../table";
import type { Context, View } from "../view";

interface Pair {
  name: string;
  group: string;
  predicted: number;
  measured: number;
  low?: number | null;
  high?: number | null;
}

const ROLES = ["held_out", "fit"];
const SYMBOLS: Record<string, string> = { held_out: "circle", fit: "diamond" };
const roleColour = (c: Colours, role: string) => (role === "fit" ? c.part("tensor") : c.accent);

const errorOf = (p: Pair) => p.predicted / p.measured - 1;

/// Predicted against measured: on the line is right; the band is ±10%.
function scatter(title: string, pairs: Pair[]): HTMLElement {
  const groups = [...new Set(pairs.map((p) => p.group))];
  const all = pairs.flatMap((p) => [p.predicted, p.measured]).filter((v) => v > 0);
  const wide = Math.max(...all) > 10 * Math.min(...all);
  const low = wide ? Math.min(...all) / 1.3 : 0;
  const high = Math.max(...all) * (wide ? 1.3 : 1.1);
  const line = (factor: number) => [[low, low * factor], [high, high * factor]];
  const type = wide ? "log" : "value";
  return chartCard({
    title, height: 520,
    note: `On the line, the prediction equals the measurement; the dashed lines are 10% to either side.${wide ? " Both axes are logarithmic." : ""}`,
    label: `${pairs.length} pairs`,
    numbers: () => ({ columns: ["name", "group", "measured_s", "predicted_s", "error"], rows: pairs.map((p) => [p.name, p.group, p.measured, p.predicted, errorOf(p)]) }),
    option: (c) => ({
      legend: { data: groups },
      grid: { left: 8, right: 24, top: 42, bottom: 8 },
      xAxis: { type, name: "measured", nameLocation: "middle", nameGap: 28, min: low, max: high, axisLabel: { formatter: (v: number) => secondsTick(Number(v.toPrecision(2))), showMinLabel: false, showMaxLabel: false } },
      yAxis: { type, name: "predicted", nameLocation: "middle", nameGap: 50, min: low, max: high, axisLabel: { formatter: (v: number) => secondsTick(Number(v.toPrecision(2))), showMinLabel: false, showMaxLabel: false } },
      tooltip: { trigger: "item", formatter: (p: { data: { pair?: Pair } }) => {
        const pair = p.data.pair;
        return pair ? tip(shortened(pair.name, 80), [["predicted", seconds(pair.predicted)], ["measured", seconds(pair.measured)], ["error", percent(errorOf(pair))]]) : "";
      } },
      series: [
        ...[1, 1.1, 1 / 1.1].map((factor) => ({ type: "line", silent: true, showSymbol: false, clip: true, data: line(factor), tooltip: { show: false }, lineStyle: { color: c.muted, width: 1, type: factor === 1 ? "solid" : "dashed" } })),
        ...groups.map((group, i) => ({
          name: group, type: "scatter", symbol: SYMBOLS[group] ?? ["circle", "triangle", "rect", "diamond"][i % 4], symbolSize: 9,
          itemStyle: { color: SYMBOLS[group] ? roleColour(c, group) : c.series[i % c.series.length], opacity: 0.75, borderColor: c.card, borderWidth: 0.5 },
          data: pairs.filter((p) => p.group === group).map((pair) => ({ value: [pair.measured, pair.predicted], pair })),
        })),
      ],
    }),
  }).element;
}

function families(list: Family[]): HTMLElement {
  const sorted = [...list].sort((a, b) => (a.mape_pct ?? Infinity) - (b.mape_pct ?? Infinity)).reverse();
  const name = (f: Family) => `${shortened(f.family, 28)}${f.role === "fit" ? " (fit)" : ""}`;
  return chartCard({
    title: "How far off is each family?", height: Math.max(200, 60 + 30 * sorted.length),
    note: "Mean absolute error; rows that a number was fitted to are marked fit and never pooled with the others.",
    label: [...sorted].reverse().map((f) => `${name(f)} ${show(f.mape_pct, "percent")}`).join(", "),
    numbers: () => ({ columns: ["family", "role", "rows", "scored", "mape_pct", "bias_pct"], rows: [...sorted].reverse().map((f) => [f.family, f.role ?? null, f.rows ?? null, f.scored ?? null, f.mape_pct ?? null, f.bias_pct ?? null]) }),
    option: (c, narrow) => ({
      grid: { left: 8, right: 86, top: 8, bottom: 10 },
      xAxis: { type: "value", axisLabel: { formatter: (v: number) => percent(v / 100, 0) }, splitNumber: narrow ? 3 : 5 },
      yAxis: { type: "category", data: sorted.map((f) => shortened(name(f), narrow ? 18 : 34)), axisLabel: { color: c.text } },
      tooltip: { trigger: "item", formatter: (p: { dataIndex: number }) => {
        const f = sorted[p.dataIndex];
        return tip(name(f), [["mean absolute", show(f.mape_pct, "percent")], ["median", show(f.median_ape_pct, "percent")], ["bias", show(f.bias_pct, "percent")], ["worst", show(f.max_ape_pct, "percent")], ["rows", show(f.scored ?? f.rows)]]);
      } },
      series: [{ type: "bar", barMaxWidth: 18, data: sorted.map((f) => ({ value: f.mape_pct ?? null, itemStyle: { color: roleColour(c, f.role ?? ""), borderRadius: 2,
        ...(f.role === "fit" && { decal: { symbol: "rect", color: "rgba(255,255,255,0.4)", dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: Math.PI / 4 } }) } })),
        label: { show: true, position: "right", color: c.text, formatter: (p: { dataIndex: number }) => `${show(sorted[p.dataIndex].mape_pct, "percent")} · ${sorted[p.dataIndex].scored ?? "?"} rows` } }],
    }),
  }).element;
}

function histogram(pairs: Pair[]): HTMLElement {
  const edges = [-1, -0.5, -0.3, -0.2, -0.15, -0.1, -0.05, 0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, Infinity];
  const text = (i: number) => i === 0 ? "< −50%" : i === edges.length - 2 ? "> 50%" : `${percent(edges[i], 0)} to ${percent(edges[i + 1], 0)}`;
  const counts = (role: string) => edges.slice(0, -1).map((from, i) => pairs.filter((p) => p.group === role && errorOf(p) >= from && errorOf(p) < edges[i + 1]).length);
  const roles = [...new Set(pairs.map((p) => p.group))].sort((a, b) => ROLES.indexOf(a) - ROLES.indexOf(b));
  return chartCard({
    title: "Does it err to one side?", height: 300, note: "Rows by error of the prediction; left of zero it is too fast.",
    label: roles.map((r) => `${r}: ${counts(r).join(" ")}`).join("; "),
    numbers: () => ({ columns: ["error", ...roles], rows: edges.slice(0, -1).map((_, i) => [text(i), ...roles.map((r) => counts(r)[i])]) }),
    option: (c) => ({
      legend: { data: roles },
      grid: { left: 8, right: 12, top: 42, bottom: 8 },
      xAxis: { type: "category", data: edges.slice(0, -1).map((_, i) => text(i)), axisLabel: { rotate: 45, fontSize: 11 } },
      yAxis: { type: "value", minInterval: 1 },
      tooltip: { trigger: "axis", formatter: (items: { seriesName: string; value: number; name: string }[]) => tip(items[0].name, items.map((i): [string, string] => [i.seriesName, `${i.value} rows`])) },
      series: roles.map((role) => ({ name: role, type: "bar", stack: "rows", data: counts(role), itemStyle: { color: roleColour(c, role) } })),
    }),
  }).element;
}

/// How many measurements lie in their 80% interval; a right interval holds 80% of them.
function coverage(rows: ScoredRow[]): { inside: number; of: number } {
  const given = rows.filter((r) => typeof r.measured_s === "number" && typeof r.low_s === "number" && typeof r.high_s === "number");
  return { of: given.length, inside: given.filter((r) => (r.measured_s as number) >= (r.low_s as number) && (r.measured_s as number) <= (r.high_s as number)).length };
}

const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

function score(answer: Score): HTMLElement[] {
  const rows = answer.rows ?? [];
  const scored = rows.filter((r) => typeof r.predicted_s === "number" && typeof r.measured_s === "number" && (r.measured_s as number) > 0 && (r.predicted_s as number) > 0);
  const pairs = scored.map((r): Pair => ({ name: r.id, group: r.role ?? "held_out", predicted: r.predicted_s as number, measured: r.measured_s as number }));
  const held = pairs.filter((p) => p.group !== "fit");
  const judged = held.length > 0 ? held : pairs;
  const errors = judged.map((p) => Math.abs(errorOf(p)));
  const worst = judged.reduce<Pair | null>((w, p) => (!w || Math.abs(errorOf(p)) > Math.abs(errorOf(w)) ? p : w), null);
  const inside = coverage(rows.filter((r) => r.role !== "fit"));
  const lead = judged.length === 0 ? "No row has both a prediction and a measurement."
    : `${held.length > 0 ? `On ${held.length} rows that nothing was fitted to` : `On ${pairs.length} rows, all of them fitted to`}, the prediction is off by ${percent(mean(errors))} on average.`;
  return [
    h("p", { class: "lead" }, lead),
    h("div", { class: "figures" },
      figure("Mean absolute error", "mape", errors.length > 0 ? 100 * mean(errors) : undefined, errors.length > 0 ? percent(mean(errors)) : "–", held.length > 0 ? "of held-out rows" : "of fitted rows"),
      figure("Bias", "bias", judged.length > 0 ? 100 * mean(judged.map(errorOf)) : undefined, judged.length > 0 ? percent(mean(judged.map(errorOf))) : "–", "below zero: too fast"),
      figure("Worst", "worst", worst ? 100 * errorOf(worst) : undefined, worst ? percent(errorOf(worst)) : "–", worst ? shortened(worst.name, 40) : ""),
      figure("In the 80% interval", "coverage", inside.of > 0 ? (100 * inside.inside) / inside.of : undefined, inside.of > 0 ? percent(inside.inside / inside.of) : "–", `${inside.inside} of ${inside.of} held-out rows`),
      figure("Scored", "scored", scored.length, scored.length.toLocaleString("en-US"), `of ${rows.length.toLocaleString("en-US")} rows`)),
    h("div", { class: "cards" },
      pairs.length > 0 ? [scatter("Was each row right?", pairs), stack((answer.families ?? []).length > 0 ? families(answer.families ?? []) : null, histogram(pairs))] : null,
      (answer.families ?? []).length > 0 ? objectTable("All families", answer.families as unknown as Record<string, unknown>[], ["family", "role", "rows", "scored", "mape_pct", "median_ape_pct", "bias_pct", "max_ape_pct", "regret_pct", "coverage_pct", "interval_width_pct"]) : null,
      rows.length > 0 ? objectTable("All rows", rows as unknown as Record<string, unknown>[], ["id", "family", "role", "status", "predicted_s", "measured_s", "error_pct", "low_s", "high_s", "reason"])
        : missing("Rows", "The answer has no rows.", "rows")),
  ];
}

/// A score of generations in the form of the others: one row for each time, one family for each source and metric.
function asScore(answer: InferenceScore): Score {
  return {
    ...answer, kind: "score",
    families: (answer.families ?? []).filter((f) => f.hardware === undefined || f.hardware === "all")
      .map((f) => ({ ...f, family: `${f.source} ${f.metric}` })),
    rows: (answer.rows ?? []).map((r) => ({ ...r, id: `${r.source} ${r.metric} line ${r.line}`, family: `${r.source} ${r.metric}` })),
  };
}

interface NamedOperation extends ComparedOperation {
  label: string; // tells it from others of its name
  step: number; // seconds of a step that the prediction is over the measurement
}

/// An operation in both passes, or twice in one, is told apart by the pass and a number.
function labelled(list: ComparedOperation[]): NamedOperation[] {
  const seen = new Map<string, number>();
  return list.map((o) => {
    const plain = [o.name, o.phase].filter(Boolean).join(" · ");
    const times = (seen.get(plain) ?? 0) + 1;
    seen.set(plain, times);
    return { ...o, label: times > 1 ? `${plain} (${times})` : plain, step: (o.count ?? 1) * ((o.predicted_s ?? NaN) - (o.measured_s ?? NaN)) };
  });
}

function comparison(answer: Comparison): HTMLElement[] {
  const list = labelled(answer.operations ?? []);
  const both = list.filter((o) => typeof o.predicted_s === "number" && typeof o.measured_s === "number" && (o.measured_s as number) > 0 && (o.predicted_s as number) > 0);
  const total = answer.predicted_s !== undefined && answer.measured_s ? answer.predicted_s / answer.measured_s - 1 : NaN;
  const worst = [...both].sort((a, b) => Math.abs(b.step) - Math.abs(a.step)).slice(0, 14).reverse();
  return [
    h("p", { class: "lead" }, Number.isNaN(total) ? "The answer compares operations only." :
      `Predicted ${seconds(answer.predicted_s as number)}, measured ${seconds(answer.measured_s as number)}: ${percent(Math.abs(total))} too ${total < 0 ? "fast" : "slow"}.`),
    h("div", { class: "figures" },
      figure("Predicted", "predicted_s", answer.predicted_s, show(answer.predicted_s, "seconds"), "step time"),
      figure("Measured", "measured_s", answer.measured_s, show(answer.measured_s, "seconds"), "step time"),
      figure("Error", "error", Number.isNaN(total) ? undefined : 100 * total, percent(total), "below zero: too fast"),
      figure("Operations", "operations", list.length, String(list.length), `${list.length - both.length} on one side only`)),
    h("div", { class: "cards" },
      both.length > 0 ? [
        scatter("Was each operation right?", both.map((o) => ({ name: o.label, group: "operations", predicted: o.predicted_s as number, measured: o.measured_s as number }))),
        chartCard({
          title: "Where does the difference come from?", height: Math.max(200, 60 + 30 * worst.length),
          note: "Predicted minus measured, all calls of a step; the largest first.",
          label: [...worst].reverse().map((o) => `${o.label} ${seconds(o.step)}`).join(", "),
          numbers: () => ({ columns: ["name", "predicted_s", "measured_s", "difference_in_step_s"], rows: [...worst].reverse().map((o) => [o.label, o.predicted_s ?? null, o.measured_s ?? null, o.step]) }),
          option: (c, narrow) => ({
            grid: { left: 8, right: 40, top: 8, bottom: 8 },
            xAxis: { type: "value", axisLabel: { formatter: secondsTick }, splitNumber: narrow ? 2 : 4 },
            yAxis: { type: "category", data: worst.map((o) => shortened(o.label, narrow ? 18 : 34)), axisLabel: { color: c.text } },
            tooltip: { trigger: "item", formatter: (p: { dataIndex: number }) => tip(shortened(worst[p.dataIndex].label, 80), [["in a step", seconds(worst[p.dataIndex].step)], ["calls", show(worst[p.dataIndex].count)], ["predicted, each", seconds(worst[p.dataIndex].predicted_s as number)], ["measured, each", seconds(worst[p.dataIndex].measured_s as number)]]) },
            series: [{ type: "bar", barMaxWidth: 18, data: worst.map((o) => ({ value: o.step, itemStyle: { color: o.step < 0 ? c.accent : c.part("pipeline") } })) }],
          }),
        }).element] : null,
      list.length > 0 ? objectTable("All operations", list.map(({ label, step, ...o }) => ({ ...o, difference_s: Number.isNaN(step) ? null : step, operation: label })), ["name"], {
        columns: [{ key: "name" }, { key: "phase" }, { key: "program" }, { key: "count", title: "calls" }, { key: "predicted_s", title: "predicted, each" }, { key: "measured_s", title: "measured, each" }, { key: "error_pct" }, { key: "difference_s", title: "in a step" }] })
        : missing("Operations", "The answer compares no operations.", "operations")),
  ];
}

export const accuracy: View = {
  id: "accuracy",
  tab: "Accuracy",
  question: "Was the prediction right?",
  takes: (answer) => ["score", "inference_score", "comparison"].includes(answer.kind),
  render: ({ chosen: { answer } }: Context) => {
    if (answer.kind === "comparison") return comparison(answer as Comparison);
    return score(answer.kind === "inference_score" ? asScore(answer as InferenceScore) : (answer as Score));
  },
};
