// Which links are busy?
import { missing } from "../card";
import { chartCard, tip } from "../chart";
import { h } from "../dom";
import { percent, seconds, shortened } from "../format";
import type { Link } from "../schema";
import { objectTable } from "../table";
import { type Context, isStep, type View } from "../view";

const DRAWN = 24;

export const network: View = {
  id: "network",
  tab: "Network",
  question: "Which links are busy?",
  takes: (answer) => answer.kind === "network" || (isStep(answer) && (answer.links ?? []).length > 0),
  render: ({ chosen }: Context) => {
    const links = chosen.answer.links ?? [];
    if (links.length === 0) return [missing("Links", "The answer has no links. Make it again with", "--fidelity network")];
    const load = (l: Link) => l.load ?? 0;
    const sorted = [...links].sort((a, b) => load(b) - load(a));
    const top = sorted.slice(0, DRAWN).reverse();
    const edges = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    const bins = edges.map((from) => links.filter((l) => load(l) >= from && (load(l) < from + 0.1 || from === 0.9)).length);
    return [
      h("p", { class: "lead" }, `${shortened(sorted[0].name, 80)} is busiest: ${percent(load(sorted[0]))} of the step. ${links.filter((l) => load(l) > 0.8).length} of ${links.length.toLocaleString("en-US")} links are busy more than 80% of it.`),
      h("div", { class: "cards" },
        chartCard({
          title: "Which links are busiest?", height: Math.max(180, 50 + 24 * top.length),
          note: links.length > DRAWN ? `The ${DRAWN} busiest of ${links.length.toLocaleString("en-US")}; the table has all.` : "Share of the step in which the link carries data.",
          label: sorted.slice(0, 8).map((l) => `${l.name} ${percent(load(l))}`).join(", "),
          numbers: () => ({ columns: ["name", "load", "busy_s"], rows: sorted.slice(0, DRAWN).map((l) => [l.name, load(l), l.busy_s ?? null]) }),
          option: (c, narrow) => ({
            grid: { left: 8, right: 56, top: 8, bottom: 8 },
            xAxis: { type: "value", min: 0, max: Math.max(1, load(sorted[0])), axisLabel: { formatter: (v: number) => percent(v, 0) } },
            yAxis: { type: "category", data: top.map((l) => shortened(l.name, narrow ? 16 : 34)), axisLabel: { color: c.text } },
            tooltip: { trigger: "item", formatter: (p: { dataIndex: number }) => tip(shortened(top[p.dataIndex].name, 120), [["load", percent(load(top[p.dataIndex]))], ["busy", top[p.dataIndex].busy_s === undefined ? "–" : seconds(top[p.dataIndex].busy_s as number)]]) },
            series: [{ type: "bar", barMaxWidth: 16, data: top.map((l) => ({ value: load(l), itemStyle: { color: load(l) > 0.8 ? c.part("pipeline") : c.accent, borderRadius: 2 } })),
              label: { show: true, position: "right", color: c.text, formatter: (p: { value: number }) => percent(p.value) } }],
          }),
        }).element,
        chartCard({
          title: "Is the load even?", height: 320, note: "Links by the share of the step in which they carry data.",
          label: bins.map((n, i) => `${percent(edges[i], 0)}: ${n}`).join(", "),
          numbers: () => ({ columns: ["load_from", "links"], rows: bins.map((n, i) => [edges[i], n]) }),
          option: (c) => ({
            grid: { left: 8, right: 12, top: 20, bottom: 8 },
            xAxis: { type: "category", name: "load", nameLocation: "middle", nameGap: 28, data: edges.map((e) => `${percent(e, 0)}–${percent(e + 0.1, 0)}`) },
            yAxis: { type: "value", minInterval: 1 },
            tooltip: { trigger: "item", formatter: (p: { name: string; value: number }) => tip(p.name, [["links", p.value.toLocaleString("en-US")]]) },
            series: [{ type: "bar", data: bins, itemStyle: { color: c.accent, borderRadius: [2, 2, 0, 0] }, label: { show: true, position: "top", color: c.muted, formatter: (p: { value: number }) => (p.value ? p.value.toLocaleString("en-US") : "") } }],
          }),
        }).element,
        objectTable("All links", links as unknown as Record<string, unknown>[], ["name", "load", "busy_s"], { sortBy: "load", descending: true })),
    ];
  },
};
