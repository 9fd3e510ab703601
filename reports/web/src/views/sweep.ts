// Which configuration is best?
import { card, figure, missing } from "../card";
import { chartCard, tip } from "../chart";
import { barsChart } from "../charts";
import { h } from "../dom";
import { bytes, compact, GIB, gibTick, percent, quantityOf, seconds, secondsTick, shortened, show, words } from "../format";
import type { Sweep } from "../schema";
import { distinct, paretoFront, readSweep, sampled, sensitivity, type SweepData } from "../sweep/data";
import { objectTable, tableCard } from "../table";
import type { Context, View } from "../view";

const MOST_LINES = 800;

const count = (value: number | undefined) => (value === undefined ? "–" : value < 1e6 ? value.toLocaleString("en-US") : compact(value));

function figures(sweep: Sweep, data: SweepData | null): HTMLElement {
  const best = data && data.best >= 0 ? data.time[data.best] : (sweep.best?.[0]?.step_time_s as number | undefined);
  return h("div", { class: "figures" },
    (sweep.each ?? []).length > 0 ? null : figure("Best step time", "best.step_time_s", best, show(best, "seconds"), data && data.best >= 0 && !Number.isNaN(data.memory[data.best]) ? `with ${bytes(data.memory[data.best])}` : ""),
    figure("Legal", "legal", sweep.legal, count(sweep.legal), "configurations"),
    figure("Priced", "priced", sweep.priced, count(sweep.priced), sweep.pruned === undefined ? "" : `${count(sweep.pruned)} pruned`),
    sweep.out_of_memory === undefined ? null : figure("Out of memory", "out_of_memory", sweep.out_of_memory, count(sweep.out_of_memory), sweep.priced ? `${percent((sweep.out_of_memory ?? 0) / sweep.priced)} of those priced` : ""),
    figure("Searched in", "elapsed_s", sweep.elapsed_s, show(sweep.elapsed_s, "seconds"), sweep.configurations_per_s ? `${compact(sweep.configurations_per_s)} configurations per second` : ""));
}

function configuration(data: SweepData, row: number): [string, string][] {
  return data.axes.map((axis) => [words(axis), show(data.rows.at(row, axis))]);
}

function bestCard(data: SweepData): HTMLElement {
  const { rows, best } = data;
  return card({ title: "The fastest that fits", wide: true, body: [
    h("dl", { class: "configuration" }, [...data.axes, ...data.outcomes].map((name) => h("div", {},
      h("dt", {}, words(name)), h("dd", {}, shortened(show(rows.at(best, name), quantityOf(name)), 120))))),
    data.fixed.length > 0 ? h("p", { class: "note" }, `The same everywhere: ${data.fixed.slice(0, 20).map((f) => `${words(f)} ${shortened(show(rows.at(best, f)), 40)}`).join(", ")}.`) : null,
  ] });
}

function scatter(data: SweepData, state: { rows: number[] }) {
  const front = () => paretoFront(state.rows.filter(data.fits), data.time, data.memory);
  const points = () => state.rows.filter((i) => !Number.isNaN(data.time[i]) && !Number.isNaN(data.memory[i]));
  return chartCard({
    title: "Which trade time for memory?", height: 400,
    note: "Each point is a configuration; the line joins those that none beats in both.",
    label: `${data.front.length} configurations on the Pareto front`,
    numbers: () => ({ columns: [...data.axes, "step_time_s", "memory_bytes"], rows: front().map((i) => [...data.axes.map((a) => data.rows.at(i, a)), data.time[i], data.memory[i]]) }),
    option: (c, narrow) => {
      const all = points();
      const edge = front();
      const spread = all.length > 0 ? Math.max(...sampled(all, 5000, []).map((i) => data.time[i])) / Math.max(1e-12, data.time[edge[0] ?? all[0]]) : 1;
      const pair = (i: number) => [data.memory[i] / GIB, data.time[i], i];
      const some = sampled(all, 5000, []).map((i) => data.memory[i]);
      const [least, most] = [Math.max(1, Math.min(...some)) / GIB, Math.max(1, ...some) / GIB];
      const wide = most / least > 12;
      const named = (row: number) => tip(seconds(data.time[row]), [["memory", bytes(data.memory[row])], ...configuration(data, row).slice(0, 14)]);
      return {
        legend: { data: ["fits", "out of memory", "Pareto front"] },
        grid: { left: 8, right: 20, top: 42, bottom: 8 },
        xAxis: { type: wide ? "log" : "value", logBase: 2, ...(wide && { min: 2 ** Math.floor(Math.log2(least)), max: 2 ** Math.ceil(Math.log2(most)) }), name: "memory of a GPU", nameLocation: "middle", nameGap: 28, scale: true, splitNumber: narrow ? 3 : 6, axisLabel: { formatter: gibTick } },
        yAxis: { type: spread > 8 ? "log" : "value", scale: true, axisLabel: { formatter: secondsTick } },
        tooltip: { trigger: "item", formatter: (p: { value: number[] }) => named(p.value[2]) },
        series: [
          { id: "points", name: "fits", type: "scatter", symbolSize: all.length > 2000 ? 3 : 6, large: all.length > 5000, largeThreshold: 5000, progressive: 0,
            itemStyle: { color: c.accent, opacity: all.length > 5000 ? 0.35 : 0.6 }, data: all.filter(data.fits).map(pair) },
          { id: "over", name: "out of memory", type: "scatter", symbol: "diamond", symbolSize: all.length > 2000 ? 3 : 6, large: all.length > 5000, largeThreshold: 5000, progressive: 0,
            itemStyle: { color: c.muted, opacity: 0.25 }, data: all.filter((i) => !data.fits(i)).map(pair) },
          { id: "front", name: "Pareto front", type: "line", step: "end", symbol: "circle", symbolSize: 8, lineStyle: { color: c.bad, width: 2 }, itemStyle: { color: c.bad }, z: 5, data: edge.map(pair) },
        ],
      };
    },
  });
}

function parallel(data: SweepData, state: { rows: number[] }) {
  const axes = data.axes.filter((a) => distinct(data.rows, a).length <= 40).slice(0, 9);
  const lines = () => sampled(state.rows.filter((i) => data.fits(i) && !Number.isNaN(data.time[i])), MOST_LINES, [data.best, ...data.front]);
  const fitting = state.rows.filter((i) => data.fits(i)).length;
  return chartCard({
    title: "What do good configurations share?", wide: true, height: 380,
    note: `Each line is a configuration; the thick orange ones are the fastest 2%. Drag along an axis to choose.${fitting > MOST_LINES ? ` ${MOST_LINES.toLocaleString("en-US")} of ${fitting.toLocaleString("en-US")} are drawn: the Pareto front and an even choice of the others.` : ""}`,
    label: `Parallel coordinates over ${axes.join(", ")}, step time and memory`,
    numbers: () => ({ columns: [...axes, "step_time_s", "memory_bytes"], rows: lines().map((i) => [...axes.map((a) => data.rows.at(i, a)), data.time[i], data.memory[i]]) }),
    option: (c, narrow) => {
      const shown = narrow ? axes.slice(0, 3) : axes;
      const chosen = lines().sort((a, b) => data.time[b] - data.time[a]);
      const n = chosen.length;
      const style = (place: number) => ({ opacity: place > 0.98 ? 0.9 : 0.05 + 0.25 * place ** 3, width: place > 0.98 ? 2.2 : 1, color: place > 0.98 ? c.bad : c.accent });
      return {
        parallel: { left: 58, right: 60, top: 46, bottom: 26 },
        parallelAxis: [
          ...shown.map((axis, dim) => ({ dim, name: shortened(words(axis), 16), type: "category", z: 20, data: distinct(data.rows, axis).map((v) => shortened(show(v), 16)),
            nameTextStyle: { color: c.text, fontSize: 11, width: 90, overflow: "break" }, axisLabel: { color: c.text, fontSize: 11, textBorderColor: c.card, textBorderWidth: 4 }, axisLine: { lineStyle: { color: c.line } } })),
          { dim: shown.length, name: "step time", type: "value", scale: true, nameTextStyle: { color: c.text, fontSize: 11 }, z: 20, axisLabel: { color: c.text, fontSize: 11, textBorderColor: c.card, textBorderWidth: 4, formatter: secondsTick }, axisLine: { lineStyle: { color: c.line } } },
          { dim: shown.length + 1, name: "memory", type: "value", scale: true, nameTextStyle: { color: c.text, fontSize: 11 }, z: 20, axisLabel: { color: c.text, fontSize: 11, textBorderColor: c.card, textBorderWidth: 4, formatter: gibTick }, axisLine: { lineStyle: { color: c.line } } },
        ],
        series: [{ type: "parallel", smooth: 0.1, progressive: 0, silent: true,
          data: chosen.map((i, k) => ({ value: [...shown.map((a) => shortened(show(data.rows.at(i, a)), 16)), data.time[i], data.memory[i] / GIB], lineStyle: style((k + 1) / n) })) }],
      };
    },
  });
}

function choices(data: SweepData, state: { rows: number[] }) {
  const list = () => sensitivity(data, state.rows);
  const axes = [...new Set(list().map((s) => s.axis))];
  return chartCard({
    title: "What does each choice cost?", height: Math.max(220, 70 + 40 * axes.length),
    note: "The best step time with that value, all else free, over the best of all. A wide row matters.",
    label: list().map((s) => `${words(s.axis)} ${show(s.value)} ${percent(s.slowdown)}`).slice(0, 30).join(", "),
    numbers: () => ({ columns: ["axis", "value", "best_step_time_s", "slowdown", "configurations"], rows: list().map((s) => [s.axis, s.value, s.best, s.slowdown, s.count]) }),
    option: (c, narrow) => {
      const now = list();
      const worst = Math.max(0.01, ...now.map((s) => s.slowdown));
      return {
        grid: { left: 8, right: 24, top: 8, bottom: 8 },
        xAxis: { type: "value", min: 0, max: Math.min(worst, 4) * 1.06, splitNumber: narrow ? 3 : 6, axisLabel: { formatter: (v: number) => `+${percent(v, worst < 0.05 ? 1 : 0)}` } },
        yAxis: { type: "category", inverse: true, data: axes.map((a) => shortened(words(a), narrow ? 14 : 26)), axisLabel: { color: c.text }, splitLine: { show: true } },
        tooltip: { trigger: "item", formatter: (p: { data: { choice: (typeof now)[number] } }) => tip(`${words(p.data.choice.axis)} ${show(p.data.choice.value)}`,
          [["best step time", seconds(p.data.choice.best)], ["over the best", `+${percent(p.data.choice.slowdown)}`], ["configurations", p.data.choice.count.toLocaleString("en-US")]]) },
        series: [{ type: "scatter", symbolSize: 13, itemStyle: { color: c.accent, opacity: 0.85, borderColor: c.card, borderWidth: 1 }, labelLayout: { hideOverlap: true },
          label: { show: true, position: "top", distance: 3, color: c.muted, fontSize: 10, formatter: (p: { data: { choice: (typeof now)[number] } }) => shortened(show(p.data.choice.value), 14) },
          data: now.map((s) => ({ value: [Math.min(s.slowdown, 4), axes.indexOf(s.axis)], choice: s })) }],
      };
    },
  });
}

/// With --each: the best for each value that was listed, and how much better it is than what was chosen.
function eachView(answer: Sweep, each: NonNullable<Sweep["each"]>): HTMLElement[] {
  const plain = (key: string) => key.replace(/^.*\//, "");
  const listed = Object.keys(each[0]).filter((key) => !["best", "chosen_step_time_s", "regret_pct"].includes(key));
  const rows = each.map((one) => ({
    ...Object.fromEntries(listed.map((key) => [plain(key), one[key]])),
    ...Object.fromEntries(Object.entries(one.best ?? {}).filter(([key]) => key !== "index" && !listed.includes(key))),
    ...(one.chosen_step_time_s !== undefined && { chosen_step_time_s: one.chosen_step_time_s, regret_pct: one.regret_pct ?? null }),
  } as Record<string, unknown>));
  const named = (row: Record<string, unknown>) => listed.map((key) => (key === "scenario" ? show(row[key]) : `${words(plain(key))} ${show(row[plain(key)])}`)).join(", ");
  const regrets = each.map((one) => one.regret_pct).filter((r): r is number => typeof r === "number");
  const said = regrets.length > 0 ? ` What was chosen is ${percent(regrets.reduce((a, b) => a + b, 0) / regrets.length / 100)} slower than the best, on average.` : "";
  const solved = rows.filter((row) => typeof row.step_time_s === "number");
  return [
    h("p", { class: "lead" }, `The best for each of ${each.length.toLocaleString("en-US")}.${said}`),
    figures(answer, null),
    h("div", { class: "cards" },
      solved.length > 0 ? barsChart({ title: "How fast is the best of each?", note: "Step time of the fastest configuration that fits.", long: true,
        entries: solved.map((row): [string, number] => [named(row), row.step_time_s as number]), colour: (c) => c.accent }) : null,
      objectTable("The best of each", rows, [...listed.map(plain), "step_time_s", "memory_bytes"])),
  ];
}

export const sweep: View = {
  id: "sweep",
  tab: "Configurations",
  question: "Which configuration is best?",
  takes: (answer) => answer.kind === "sweep",
  render: ({ chosen }: Context) => {
    const answer = chosen.answer as Sweep;
    const each = answer.each ?? [];
    if (each.length > 0) return eachView(answer, each);
    const data = readSweep(answer);
    if (!data) {
      return [figures(answer, null), h("div", { class: "cards" },
        (answer.best ?? []).length > 0 ? objectTable("The best", answer.best ?? [], ["step_time_s", "memory_bytes"])
          : missing("Configurations", "No configuration was evaluated: none is legal, or the answer has no", "results"))];
    }
    const state = { rows: Array.from({ length: data.rows.count }, (_, i) => i) };
    const charts = [scatter(data, state), choices(data, state), parallel(data, state)];
    const notes = [
      data.rows.omitted > 0 ? `${data.rows.omitted.toLocaleString("en-US")} configurations are left out: the fastest stay, and an even choice of the others.` : "",
      data.rows.rounded ? "Fractions are rounded to seven digits." : "",
      "Filter with words or conditions, for example tensor=8 step_time_s<20; the charts follow.",
    ].filter(Boolean).join(" ");
    const listed = data.rows.count + data.rows.omitted < (answer.priced ?? 0);
    let first = true;
    const headline = data.outcomes.filter((key) => ["step_time_s", "memory_bytes", "peak_bytes", "fits"].includes(key));
    const table = tableCard({
      title: listed ? "The best, and those that trade time for memory" : "All configurations", note: notes, count: data.rows.count,
      columns: [...headline, ...data.axes, ...data.outcomes.filter((key) => !headline.includes(key))].map((key) => ({ key })),
      at: (row, key) => data.rows.at(row, key), sortBy: "step_time_s", last: (row) => !data.fits(row),
      onFilter: (rows) => {
        state.rows = rows;
        if (!first) charts.forEach((chart) => chart.redraw());
        first = false;
      },
    });
    const lead = data.best < 0 ? "No configuration fits." :
      `The fastest of ${count(answer.legal ?? data.rows.count)} takes ${seconds(data.time[data.best])}: ${configuration(data, data.best).slice(0, 6).map(([n, v]) => `${n} ${shortened(v, 30)}`).join(", ")}.`;
    return [
      h("p", { class: "lead" }, lead),
      figures(answer, data),
      h("div", { class: "cards" },
        data.best >= 0 ? bestCard(data) : null,
        data.rows.count > 1 ? charts.map((chart) => chart.element) : null,
        table),
    ];
  },
};
