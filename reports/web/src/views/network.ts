// Which links are busy?
import { figure, missing } from "../card";
import { chartCard, tip } from "../chart";
import { h } from "../dom";
import { bytes, compact, percent, seconds, shortened, show } from "../format";
import type { Link, Network, Step } from "../schema";
import { objectTable } from "../table";
import { type Context, isStep, type View } from "../view";

const DRAWN = 24;

/// What the network fidelity says of the whole cluster, where the answer has it.
function figures(answer: Step | Network): HTMLElement | null {
  const n = answer.network;
  if (!n) return null;
  const step = answer.step_time_s;
  const cost = n.contention_s ?? NaN;
  const other = n.elsewhere;
  return h("div", { class: "figures" },
    figure("Cost of sharing links", "network.contention_s", n.contention_s, show(n.contention_s, "seconds"), step ? `${percent(cost / step)} of the step` : ""),
    figure("Alone on the wire", "network.uncontended_s", n.uncontended_s, show(n.uncontended_s, "seconds"), "the step, if no message met another"),
    other ? figure("Placed otherwise", "network.elsewhere.step_time_s", other.step_time_s, show(other.step_time_s, "seconds"), `${(other.rank_order ?? "").replaceAll("_", " ")}; sharing costs ${show(other.contention_s, "seconds")}`) : null,
    figure("Messages", "network.messages", n.messages, n.messages === undefined ? "–" : compact(n.messages), `played by ${(n.engine ?? "the engine").replaceAll("_", "-")}`),
    figure("Half to half", "network.bisection_bytes_per_s", n.bisection_bytes_per_s, n.bisection_bytes_per_s === undefined ? "–" : `${bytes(n.bisection_bytes_per_s)}/s`, n.fabric ?? "bisection of the cluster"));
}

function tiers(answer: Step | Network): HTMLElement | null {
  const list = answer.network?.tiers ?? [];
  return list.length === 0 ? null : objectTable("How full is each tier?", list as unknown as Record<string, unknown>[], ["from", "to"], {
    columns: [{ key: "from" }, { key: "to" }, { key: "links" }, { key: "bytes" }, { key: "utilisation", title: "of all it could carry" }, { key: "most_utilised", title: "its fullest link", quantity: "fraction" }] });
}

/// "pipeline 24.6 GiB in 480, data 1.2 GiB in 6"
function trafficOf(link: Link): string | null {
  const list = link.traffic;
  return Array.isArray(list) ? list.map((t: { stream?: string; messages?: number; bytes?: number }) => `${t.stream} ${show(t.bytes, "bytes")} in ${show(t.messages)}`).join(", ") : null;
}

/// A row of the table: what a link never did is a hole, not a zero.
function rowOf(link: Link): Record<string, unknown> {
  const { traffic, ...row } = link;
  const shared = typeof row.shared_s !== "number" || row.shared_s > 0;
  return { ...row, ...(!shared && { first_shared_s: null, last_shared_s: null }), ...(traffic !== undefined && { traffic: trafficOf(link) }) };
}

const present = (...parts: (HTMLElement | null)[]) => parts.filter((p): p is HTMLElement => p !== null);

export const network: View = {
  id: "network",
  tab: "Network",
  question: "Which links are busy?",
  takes: (answer) => answer.kind === "network" || (isStep(answer) && (answer.links ?? []).length > 0),
  render: ({ chosen }: Context) => {
    const answer = chosen.answer as Step | Network;
    const links = answer.links ?? [];
    if (links.length === 0) return present(figures(answer), h("div", { class: "cards" }, tiers(answer), missing("Links", "The answer has no links. Make it again with", "--fidelity network")));
    const load = (l: Link) => l.load ?? 0;
    const sorted = [...links].sort((a, b) => load(b) - load(a));
    const top = sorted.slice(0, DRAWN).reverse();
    const edges = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    const bins = edges.map((from) => links.filter((l) => load(l) >= from && (load(l) < from + 0.1 || from === 0.9)).length);
    return present(
      h("p", { class: "lead" }, `${shortened(sorted[0].name, 80)} is busiest: ${percent(load(sorted[0]))} of the step. ${links.filter((l) => load(l) > 0.8).length} of ${links.length.toLocaleString("en-US")} links ${answer.network ? "that delayed messages most " : ""}are busy more than 80% of it.`),
      figures(answer),
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
        tiers(answer),
        objectTable(answer.network ? "The links that delayed messages most" : "All links", links.map(rowOf), ["name", "load", "busy_s"], { sortBy: "load", descending: true })),
    );
  },
};
