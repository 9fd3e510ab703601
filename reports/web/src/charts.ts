// Charts and figures that several views have.
import { figure } from "./card";
import { chartCard, tip } from "./chart";
import { h } from "./dom";
import { bytes, memoryUnit, percent, seconds, secondsTick, shortened, show, words } from "./format";
import type { Memory } from "./schema";
import type { Colours } from "./theme";

/// Peak memory, with how full that makes a GPU.
export function memoryFigure(memory: Memory): HTMLElement {
  const used = (memory.peak_bytes ?? NaN) / (memory.capacity_bytes ?? NaN);
  return figure("Peak memory", "memory.peak_bytes", memory.peak_bytes, show(memory.peak_bytes, "bytes"), [
    Number.isFinite(used)
      ? h("span", { class: `meter${used > 1 ? " over" : ""}`, role: "img", "aria-label": `${percent(used)} of the capacity` },
          h("span", { style: `width:${Math.min(100, used * 100)}%` }))
      : null,
    memory.fits === undefined ? "" : h("span", { class: memory.fits ? "good" : "bad" },
      `${memory.fits ? "✓ fits" : "✗ does not fit"}${memory.capacity_bytes ? ` in ${bytes(memory.capacity_bytes)}` : ""}`),
  ]);
}

export interface StageMemorySpec {
  title: string;
  stages: Record<string, number>[]; // with `stage`
  kinds: { key: string; name: string; part: string }[]; // keys of the stages, and whose colour they have
  capacity: number | undefined;
}

/// Bytes of each stage by kind, one on the other, against the capacity.
export function stageMemoryChart({ title, stages, kinds: all, capacity }: StageMemorySpec): HTMLElement {
  const kinds = all.filter(({ key }) => stages.some((s) => s[key] > 0));
  const totals = stages.map((s) => kinds.reduce((sum, { key }) => sum + (s[key] ?? 0), 0));
  const fullest = Math.max(0, ...totals);
  const drawn = capacity !== undefined && fullest > 0.1 * capacity; // else the bars would not be seen beside it
  const top = drawn ? Math.max(capacity, fullest) : fullest;
  const { unit, tick } = memoryUnit(top);
  const line = !capacity ? "" : drawn ? `; the line is its capacity, ${bytes(capacity)}` : `; its capacity, ${bytes(capacity)}, is far above`;
  return chartCard({
    title, wide: stages.length > 16, height: 340,
    note: `Bytes of one GPU at its fullest instant${line}.`,
    label: stages.slice(0, 8).map((s, i) => `stage ${s.stage} ${bytes(totals[i])}`).join(", "),
    numbers: () => ({ columns: ["stage", ...kinds.map((k) => k.key), "total"], rows: stages.map((s, i) => [s.stage, ...kinds.map((k) => s[k.key] ?? null), totals[i]]) }),
    option: (c, narrow) => ({
      legend: { type: "plain" },
      grid: { left: 8, right: 12, top: narrow ? 84 : 60, bottom: 4 },
      xAxis: { type: "category", data: stages.map((s) => String(s.stage)), name: "stage", nameLocation: "middle", nameGap: 26 },
      yAxis: { type: "value", max: Math.ceil((top * 1.05) / unit), axisLabel: { formatter: tick, showMaxLabel: false } },
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (items: { dataIndex: number }[]) => {
        const at = items[0].dataIndex;
        return tip(`Stage ${stages[at].stage}`, [...kinds.map((k): [string, string, string] => [k.name, bytes(stages[at][k.key]), c.part(k.part)]), ["total", bytes(totals[at])]]);
      } },
      series: kinds.map((kind, i) => ({
        name: kind.name, type: "bar", stack: "memory", barMaxWidth: 44, data: stages.map((s) => s[kind.key] / unit), itemStyle: { color: c.part(kind.part) },
        ...(i === 0 && drawn && { markLine: { silent: true, symbol: "none", data: [{ yAxis: capacity / unit }], label: { formatter: "capacity", position: "insideEndTop", color: c.bad }, lineStyle: { color: c.bad, type: "dashed", width: 1.5 } } }),
      })),
    }),
  }).element;
}

export interface BarsSpec {
  title: string;
  note: string;
  entries: [string, number][];
  text?: (value: number) => string; // beside a bar
  tick?: (value: number) => string; // of the axis
  column?: string; // of the numbers
  colour?: (c: Colours, name: string) => string;
  detail?: (name: string) => [string, string][]; // more lines of a tooltip
  long?: boolean; // names are sentences: they take several lines, and the card the width of the page
}

/// One bar for each entry, the longest on top.
export function barsChart({ title, note, entries, text = seconds, tick = secondsTick, column = "seconds", colour, detail, long = false }: BarsSpec): HTMLElement {
  const sorted = [...entries].sort((a, b) => a[1] - b[1]);
  return chartCard({
    title, note, wide: long, height: Math.max(140, 60 + (long ? 46 : 34) * sorted.length),
    label: [...sorted].reverse().map(([n, v]) => `${words(n)} ${text(v)}`).join(", "),
    numbers: () => ({ columns: ["name", column], rows: [...sorted].reverse().map(([n, v]) => [n, v]) }),
    option: (c, narrow) => ({
      grid: { left: 8, right: 96, top: 8, bottom: 8 },
      xAxis: { type: "value", axisLabel: { formatter: tick }, splitNumber: narrow ? 2 : 4 },
      yAxis: { type: "category", data: sorted.map(([n]) => (long ? shortened(n, 120) : shortened(words(n), narrow ? 18 : 34))),
        axisLabel: { color: c.text, ...(long && { width: narrow ? 150 : 480, overflow: "break", lineHeight: narrow ? 12 : 15, fontSize: narrow ? 10 : 12, interval: 0, hideOverlap: false }) } },
      tooltip: { trigger: "item", formatter: (p: { dataIndex: number }) => {
        const [name, value] = sorted[p.dataIndex];
        return tip(long ? name : words(name), [[words(column), text(value)], ...(detail?.(name) ?? [])]);
      } },
      series: [{ type: "bar", barMaxWidth: 20, data: sorted.map(([n, v]) => ({ value: v, itemStyle: { color: colour?.(c, n) ?? c.part(n), borderRadius: 2 } })),
        label: { show: true, position: "right", color: c.text, formatter: (p: { value: number }) => text(p.value) } }],
    }),
  }).element;
}
