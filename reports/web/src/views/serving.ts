// Does it keep up with its users?
import { figure, missing, warningsCard } from "../card";
import { chartCard, type Option, tip } from "../chart";
import { h } from "../dom";
import { compact, percent, seconds, secondsTick, show, threeDigits, timeStep } from "../format";
import type { Moment, Percentiles, Serving } from "../schema";
import { objectTable } from "../table";
import type { Colours } from "../theme";
import type { Context, View } from "../view";

const WAITS = [
  { key: "latency", name: "whole answer" },
  { key: "tpot", name: "each further token" },
  { key: "ttft", name: "first token" },
] as const;
const QUANTILES = [
  { key: "p50_s", name: "half of them within", symbol: "circle" },
  { key: "p90_s", name: "90 of 100 within", symbol: "triangle" },
  { key: "p99_s", name: "99 of 100 within", symbol: "diamond" },
] as const;

const number = (value: unknown): string => (typeof value === "number" ? threeDigits(value) : "–");
const within = (p: Percentiles | undefined): string => (p?.p99_s === undefined ? "median" : `median; 99 of 100 within ${seconds(p.p99_s)}`);

function promise(a: Serving): string {
  const o = a.objective;
  if (!o) return "";
  const said = [o.ttft_s > 0 ? `first token within ${seconds(o.ttft_s)}` : "", o.tpot_s > 0 ? `${seconds(o.tpot_s)} a token` : "", o.gap_s > 0 ? `gaps up to ${seconds(o.gap_s)}` : ""].filter(Boolean);
  return `promised to ${percent(o.share, 0)}: ${said.join(", ")}`;
}

function sentence(a: Serving): string {
  if (a.ttft?.p50_s === undefined) return "The answer has no waits.";
  const busy = a.utilisation === undefined ? "" : ` The engines are busy ${percent(a.utilisation)} of the time.`;
  return `Half of the users see a first token within ${seconds(a.ttft.p50_s)}, 99 of 100 within ${show(a.ttft.p99_s, "seconds")}.${busy}${a.overloaded ? " It does not keep up." : ""}`;
}

function figures(a: Serving): HTMLElement {
  const rate = a.scenario?.rate_per_s;
  const gpus = a.scenario?.gpus;
  return h("div", { class: "figures" },
    figure("First token", "ttft.p50_s", a.ttft?.p50_s, show(a.ttft?.p50_s, "seconds"), within(a.ttft)),
    figure("Each further token", "tpot.p50_s", a.tpot?.p50_s, show(a.tpot?.p50_s, "seconds"), within(a.tpot)),
    figure("Whole answer", "latency.p50_s", a.latency?.p50_s, show(a.latency?.p50_s, "seconds"), within(a.latency)),
    figure("Served", "requests_per_s", a.requests_per_s, number(a.requests_per_s), `requests a second${typeof rate === "number" && rate > 0 ? `, of ${threeDigits(rate)} that come` : ""}`),
    a.objective ? figure("Goodput", "goodput_requests_per_s", a.goodput_requests_per_s, number(a.goodput_requests_per_s), [
      "requests a second in time; ", h("span", { class: (a.kept_share ?? 0) >= a.objective.share ? "good" : "bad" }, `${show(a.kept_share, "fraction")} of them`)]) : null,
    a.highest_rate_per_s !== undefined ? figure("Highest rate", "highest_rate_per_s", a.highest_rate_per_s, number(a.highest_rate_per_s),
      `requests a second that keep the promise${gpus ? `; ${threeDigits(a.highest_rate_per_s / gpus)} a GPU` : ""}`) : null,
    figure("Output", "output_tokens_per_s", a.output_tokens_per_s, a.output_tokens_per_s === undefined ? "–" : compact(a.output_tokens_per_s), "tokens per second"),
    figure("Busy", "utilisation", a.utilisation, show(a.utilisation, "fraction"), "of the engines' time"),
    figure("Energy", "joules_per_output_token", a.joules_per_output_token, number(a.joules_per_output_token), "J per output token"));
}

/// Three waits on one logarithmic axis: from the median to the slowest of a hundred.
function waits(a: Serving): HTMLElement {
  const title = "How long do users wait?";
  const known = WAITS.filter(({ key }) => (a[key]?.p99_s ?? 0) > 0);
  if (known.length === 0) return missing(title, "The answer has no waits.", "ttft");
  const at = (key: (typeof WAITS)[number]["key"], q: (typeof QUANTILES)[number]["key"]) => a[key]?.[q] ?? 0;
  const positive = known.flatMap(({ key }) => QUANTILES.map((q) => at(key, q.key))).filter((v) => v > 0);
  return chartCard({
    title, height: 280, note: `The axis is logarithmic.${a.objective ? ` ${promise(a).replace(/^p/, "P")}.` : ""}`,
    label: known.map(({ key, name }) => `${name} ${QUANTILES.map((q) => `${q.name} ${seconds(at(key, q.key))}`).join(", ")}`).join("; "),
    numbers: () => ({ columns: ["what", "mean_s", ...QUANTILES.map((q) => q.key)], rows: known.map(({ key, name }) => [name, a[key]?.mean_s ?? null, ...QUANTILES.map((q) => a[key]?.[q.key] ?? null)]) }),
    option: (c, narrow) => ({
      legend: { type: "plain", data: QUANTILES.map((q) => q.name) },
      grid: { left: 8, right: 28, top: narrow ? 64 : 42, bottom: 8 },
      xAxis: { type: "log", min: 10 ** Math.floor(Math.log10(Math.min(...positive) / 4)), max: 10 ** Math.ceil(Math.log10(Math.max(...positive))), splitNumber: narrow ? 3 : 6, axisLabel: { formatter: secondsTick } },
      yAxis: { type: "category", data: known.map((w) => w.name), axisLabel: { color: c.text } },
      tooltip: { trigger: "item", formatter: (p: { value: [number, number]; seriesName: string }) => tip(known[p.value[1]].name, [[p.seriesName, seconds(p.value[0])]]) },
      series: [
        ...known.map(({ key }, i) => ({ type: "line", z: 1, silent: true, showSymbol: false, lineStyle: { color: c.line, width: 6, cap: "round" }, data: [[at(key, "p50_s"), i], [at(key, "p99_s"), i]].filter(([v]) => v > 0) })),
        ...QUANTILES.map((q, i) => ({ name: q.name, type: "scatter", symbol: q.symbol, symbolSize: 13, z: 5 - i, itemStyle: { color: c.series[i] },
          data: known.map(({ key }, n) => [at(key, q.key), n]).filter(([v]) => v > 0),
          label: { show: !narrow && q.key !== "p90_s", position: q.key === "p50_s" ? "left" : "right", distance: 8, fontSize: 11, color: c.text, formatter: (p: { value: number[] }) => seconds(p.value[0]) } })),
      ],
    }),
  }).element;
}

interface OverTime {
  title: string;
  note: string;
  lines: { key: "prompt_share" | "decode_share" | "waiting" | "answering" | "watts"; name: string; part: string; hatched?: boolean }[];
  text: (value: number) => string;
  stacked: boolean;
  most?: number;
}

function overTime(moments: Moment[], { title, note, lines, text, stacked, most }: OverTime): HTMLElement {
  const middle = (m: Moment) => (m.start_s + m.end_s) / 2;
  const end = moments[moments.length - 1].end_s;
  const peak = (key: OverTime["lines"][number]["key"]) => Math.max(...moments.map((m) => m[key]));
  const option = (c: Colours, narrow: boolean): Option => ({
    ...(lines.length > 1 && { legend: { data: lines.map((l) => l.name) } }),
    grid: { left: 8, right: 16, top: lines.length > 1 ? 40 : 14, bottom: 8 },
    xAxis: { type: "value", min: 0, max: end, interval: timeStep(end, narrow ? 3 : 7), splitNumber: narrow ? 3 : 6, axisLabel: { formatter: secondsTick, showMaxLabel: false }, splitLine: { show: false } },
    yAxis: { type: "value", min: 0, max: most, axisLabel: { formatter: text } },
    tooltip: { trigger: "axis", formatter: (items: { dataIndex: number }[]) => {
      const m = moments[items[0].dataIndex];
      return tip(`${seconds(m.start_s)} to ${seconds(m.end_s)}`, lines.map((l): [string, string, string] => [l.name, text(m[l.key]), c.part(l.part)]));
    } },
    series: lines.map((l) => ({ name: l.name, type: "line", showSymbol: false, ...(stacked && { stack: "all" }), color: c.part(l.part), lineStyle: { width: stacked ? 0.8 : 1.8, color: c.part(l.part) },
      areaStyle: { color: c.part(l.part), opacity: stacked ? 0.75 : 0.18 }, data: moments.map((m) => [middle(m), m[l.key]]) })),
  });
  return chartCard({
    title, note, height: 280, option,
    label: lines.map((l) => `${l.name} at most ${text(peak(l.key))}`).join(", "),
    numbers: () => ({ columns: ["start_s", "end_s", ...lines.map((l) => l.key)], rows: moments.map((m) => [m.start_s, m.end_s, ...lines.map((l) => m[l.key])]) }),
  }).element;
}

function course(a: Serving): HTMLElement[] {
  const moments = a.over_time ?? [];
  if (moments.length === 0) return [missing("What happens over time?", "The answer has nothing over time.", "over_time")];
  const mean = moments.reduce((s, m) => s + m.watts * (m.end_s - m.start_s), 0) / moments[moments.length - 1].end_s;
  const watts = (v: number) => (v >= 10000 ? `${threeDigits(v / 1000)} kW` : `${threeDigits(v)} W`);
  return [
    overTime(moments, { title: "Who is inside?", note: "Requests at a time, by what they wait for.", text: (v) => compact(Number(v.toPrecision(3))), stacked: true,
      lines: [{ key: "answering", name: "being answered", part: "data" }, { key: "waiting", name: "waiting for a first token", part: "pipeline" }] }),
    overTime(moments, { title: "What do the engines do?", note: "Share of the engines' time; the rest is idle.", text: (v) => percent(v, 0), stacked: true, most: 1,
      lines: [{ key: "decode_share", name: "decoding alone", part: "compute" }, { key: "prompt_share", name: "steps with prompts", part: "tensor" }] }),
    overTime(moments, { title: "How much power do the GPUs draw?", note: `All GPUs together; ${watts(mean)} on average. The power model's shares are assumed, not measured.`, text: watts, stacked: false,
      lines: [{ key: "watts", name: "power", part: "optimizer" }] }),
  ];
}

export const serving: View = {
  id: "serving",
  tab: "Serving",
  question: "Does it keep up with its users?",
  takes: (answer) => answer.kind === "serving",
  render: ({ chosen }: Context) => {
    const a = chosen.answer as Serving;
    const rows = [...WAITS].reverse().flatMap(({ key, name }) => (a[key] ? [{ what: name, ...a[key] }] : []));
    return [
      h("p", { class: "lead" }, sentence(a)),
      figures(a),
      h("div", { class: "cards" },
        warningsCard(a.warnings),
        waits(a), course(a),
        rows.length > 0 ? objectTable("All waits", rows, ["what", "mean_s", "p50_s", "p90_s", "p99_s"]) : null),
    ];
  },
};
