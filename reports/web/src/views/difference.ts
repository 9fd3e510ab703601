// What differs between A and B?
import { card, figure, stack } from "../card";
import { chartCard, tip } from "../chart";
import { h } from "../dom";
import { percent, quantityOf, seconds, secondsTick, shortened, show, words } from "../format";
import type { Answer, NamedAnswer, Operation, Parts, Score, Step } from "../schema";
import { objectTable } from "../table";
import { type Context, isStep, totalOf, type View } from "../view";

/// Every plain value of `value` under its path.
function leaves(value: unknown, path = "", out = new Map<string, unknown>()): Map<string, unknown> {
  if (value && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) leaves(inner, path ? `${path}.${key}` : key, out);
  } else out.set(path, Array.isArray(value) ? JSON.stringify(value) : value);
  return out;
}

interface Changed {
  key: string;
  a: unknown;
  b: unknown;
}

function changed(a: unknown, b: unknown): Changed[] {
  const left = leaves(a);
  const right = leaves(b);
  return [...new Set([...left.keys(), ...right.keys()])].filter((key) => key !== "" && left.get(key) !== right.get(key))
    .map((key) => ({ key, a: left.get(key), b: right.get(key) }));
}

/// The headline numbers of an answer: what stands at its top, and memory.
function headline(answer: Answer): Map<string, number> {
  const out = new Map<string, number>();
  for (const [key, value] of Object.entries(answer)) {
    if (typeof value === "number" && key !== "schema_version") out.set(key, value);
  }
  const peak = isStep(answer) ? answer.memory?.peak_bytes : undefined;
  if (peak !== undefined) out.set("peak_bytes", peak);
  if (answer.kind === "score") {
    for (const f of (answer as Score).families ?? []) if (typeof f.mape_pct === "number") out.set(`${f.family}${f.role ? ` (${f.role})` : ""} mape_pct`, f.mape_pct);
  }
  return out;
}

/// But for the last digits.
const isSame = (a: number, b: number) => Math.abs(b - a) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));

function ratio(a: number, b: number): string {
  if (!Number.isFinite(b / a)) return "–";
  const change = b / a - 1;
  const sign = change > 0 ? "+" : "−";
  return isSame(a, b) ? "same" : Math.abs(change) < 0.0005 ? `${sign}<0.1%` : `${sign}${percent(Math.abs(change))}`;
}

function numbersCard(a: NamedAnswer, b: NamedAnswer): HTMLElement {
  const left = headline(a.answer);
  const right = headline(b.answer);
  const keys = [...new Set([...left.keys(), ...right.keys()])];
  const rows = keys.map((key) => {
    const x = left.get(key);
    const y = right.get(key);
    const q = quantityOf(key.split(" ").pop() ?? key);
    return h("tr", {}, h("th", { scope: "row" }, words(key)),
      [x, y].map((v) => h("td", { class: "num" }, v === undefined ? "–" : h("data", { value: String(v) }, show(v, q)))),
      h("td", { class: "num" }, x === undefined || y === undefined ? "–" : ratio(x, y)));
  });
  return card({ title: "Which numbers differ?", body: [h("div", { class: "plain-table tall", tabindex: "0", role: "region", "aria-label": "Numbers of A and B" },
    h("table", {}, h("thead", {}, h("tr", {}, ["", "A", "B", "B over A"].map((t) => h("th", { scope: "col", class: t ? "num" : "" }, t)))), h("tbody", {}, rows)))] });
}

function choicesCard(a: NamedAnswer, b: NamedAnswer): HTMLElement {
  const own = (key: string) => Number(!key.startsWith("strategy.")); // what was chosen, before what it was chosen for
  const differ = changed(a.answer.scenario ?? {}, b.answer.scenario ?? {}).filter((c) => c.key !== "defaults").sort((x, y) => own(x.key) - own(y.key));
  const made = changed(a.answer.provenance ?? {}, b.answer.provenance ?? {}).filter((c) => c.key !== "date" && c.key !== "command");
  const rows = [...differ, ...made];
  return card({
    title: "Which choices differ?",
    body: rows.length === 0
      ? [h("p", { class: "note" }, a.answer.scenario && b.answer.scenario ? "None: both answer the same scenario." : "The answers do not say which scenario they are of.")]
      : [h("div", { class: "plain-table tall", tabindex: "0", role: "region", "aria-label": "Choices of A and B" }, h("table", {},
          h("thead", {}, h("tr", {}, ["", "A", "B"].map((t) => h("th", { scope: "col" }, t)))),
          h("tbody", {}, rows.slice(0, 200).map((c) => h("tr", {}, h("th", { scope: "row" }, shortened(words(c.key.replace(/^(strategy|batch)\./, "")), 80)),
            [c.a, c.b].map((v) => h("td", {}, shortened(show(v), 80))))))))],
  });
}

/// Two bars per part.
function paired(title: string, a: Parts, b: Parts): HTMLElement | null {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((n) => (a[n] ?? 0) > 0 || (b[n] ?? 0) > 0);
  if (names.length === 0) return null;
  return chartCard({
    title, height: 70 + 40 * names.length, note: "Seconds of the step in A and in B.",
    label: names.map((n) => `${words(n)} ${seconds(a[n] ?? 0)} and ${seconds(b[n] ?? 0)}`).join(", "),
    numbers: () => ({ columns: ["part", "a_s", "b_s", "difference_s"], rows: names.map((n) => [n, a[n] ?? null, b[n] ?? null, (b[n] ?? 0) - (a[n] ?? 0)]) }),
    option: (c, narrow) => ({
      legend: { data: ["A", "B"] },
      grid: { left: 8, right: 76, top: 38, bottom: 8 },
      xAxis: { type: "value", splitNumber: narrow ? 2 : 4, axisLabel: { formatter: secondsTick } },
      yAxis: { type: "category", inverse: true, data: names.map(words), axisLabel: { color: c.text } },
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (items: { dataIndex: number }[]) => {
        const n = names[items[0].dataIndex];
        return tip(words(n), [["A", seconds(a[n] ?? 0), c.series[0]], ["B", seconds(b[n] ?? 0), c.series[1]], ["B − A", seconds((b[n] ?? 0) - (a[n] ?? 0))]]);
      } },
      series: [a, b].map((parts, i) => ({ name: i ? "B" : "A", type: "bar", barMaxWidth: 12, itemStyle: { color: c.series[i], borderRadius: 2 }, data: names.map((n) => parts[n] ?? 0),
        label: { show: true, position: "right", fontSize: 11, color: c.muted, formatter: (p: { value: number }) => (p.value > 0 ? seconds(p.value) : "") } })),
    }),
  }).element;
}

function operationsTable(a: Step, b: Step): HTMLElement | null {
  const keyOf = (o: Operation) => [o.name, o.phase, o.program].filter(Boolean).join(" · ");
  const sum = (step: Step) => (step.operations ?? []).reduce((m, o) => m.set(keyOf(o), (m.get(keyOf(o)) ?? 0) + totalOf(step, o)), new Map<string, number>());
  const left = sum(a);
  const right = sum(b);
  const rows = [...new Set([...left.keys(), ...right.keys()])].map((name) => {
    const x = left.get(name);
    const y = right.get(name);
    return { operation: name, a_s: x ?? null, b_s: y ?? null, difference_s: (y ?? 0) - (x ?? 0), size_s: Math.abs((y ?? 0) - (x ?? 0)) };
  });
  const differ = rows.filter((r) => !isSame(r.a_s ?? 0, r.b_s ?? 0));
  if (rows.length === 0) return null;
  if (differ.length === 0) return card({ title: "Which operations differ?", wide: true, body: [h("p", { class: "note" }, `None: all ${rows.length.toLocaleString("en-US")} take the same time.`)] });
  return objectTable("Which operations differ?", differ, ["operation"], {
    note: differ.length < rows.length ? `All calls of a step, the largest difference first; ${(rows.length - differ.length).toLocaleString("en-US")} others take the same time.` : "All calls of a step, the largest difference first.",
    columns: [{ key: "operation" }, { key: "a_s", title: "A" }, { key: "b_s", title: "B" }, { key: "difference_s", title: "B − A" }],
    sortBy: "size_s", descending: true });
}

function movedRows(a: Score, b: Score): HTMLElement | null {
  const before = new Map((a.rows ?? []).map((r) => [r.id, r]));
  const rows = (b.rows ?? []).flatMap((r) => {
    const old = before.get(r.id);
    return old && typeof old.predicted_s === "number" && typeof r.predicted_s === "number" && old.predicted_s !== r.predicted_s
      ? [{ id: r.id, family: r.family ?? null, a_s: old.predicted_s, b_s: r.predicted_s, moved_pct: 100 * (r.predicted_s / old.predicted_s - 1), error_a_pct: old.error_pct ?? null, error_b_pct: r.error_pct ?? null }] : [];
  });
  return rows.length > 0 ? objectTable("Which rows moved?", rows, ["id", "family", "a_s", "b_s"]) : null;
}

export const difference: View = {
  id: "difference",
  tab: "A and B",
  question: "What differs between A and B?",
  takes: () => true,
  least: 2,
  all: true,
  render: ({ answers }: Context) => {
    const kindOf = (a: Answer) => (isStep(a) ? "step" : a.kind);
    const first = answers.findIndex((a, i) => answers.some((b, j) => j !== i && kindOf(a.answer) === kindOf(b.answer)));
    const state = { a: Math.max(0, first), b: 0 };
    state.b = answers.findIndex((b, j) => j !== state.a && kindOf(b.answer) === kindOf(answers[state.a].answer));
    if (state.b < 0) state.b = state.a === 0 ? 1 : 0;
    const body = h("div");
    const draw = () => {
      const a = answers[state.a];
      const b = answers[state.b];
      const same = kindOf(a.answer) === kindOf(b.answer);
      const x = headline(a.answer).get("step_time_s");
      const y = headline(b.answer).get("step_time_s");
      const lead = !same ? `A is a ${a.answer.kind}, B a ${b.answer.kind}: only what both have is compared.`
        : x !== undefined && y !== undefined ? (isSame(x, y) ? "Both take the same time." : Math.abs(y / x - 1) < 0.0005 ? `Both take the same time within 0.1%: ${seconds(x)}.` : `B is ${percent(Math.abs(y / x - 1))} ${y < x ? "faster" : "slower"} than A: ${seconds(y)} against ${seconds(x)}.`) : "";
      const p = a.answer as Step;
      const q = b.answer as Step;
      body.replaceChildren(
        h("p", { class: "lead" }, lead),
        x !== undefined && y !== undefined ? h("div", { class: "figures" },
          figure("A", "a.step_time_s", x, seconds(x), shortened(a.name, 60)), figure("B", "b.step_time_s", y, seconds(y), shortened(b.name, 60)),
          figure("B over A", "ratio", y / x, ratio(x, y), "step time")) : "",
        h("div", { class: "cards" },
          stack(choicesCard(a, b), isStep(a.answer) && isStep(b.answer) ? paired("Where does the time differ?", p.attribution_s ?? {}, q.attribution_s ?? {}) : null),
          numbersCard(a, b),
          isStep(a.answer) && isStep(b.answer) ? [operationsTable(p, q)] : null,
          a.answer.kind === "score" && b.answer.kind === "score" ? movedRows(a.answer as Score, b.answer as Score) : null));
    };
    const select = (which: "a" | "b") => h("label", { class: "picker" }, `${which.toUpperCase()} `,
      h("select", { onchange: (event) => { state[which] = (event.target as HTMLSelectElement).selectedIndex; draw(); } },
        answers.map((x, i) => h("option", { selected: i === state[which] }, shortened(`${x.name} (${x.answer.kind})`, 80)))));
    draw();
    return [h("div", { class: "pickers" }, select("a"), select("b")), body];
  },
};
