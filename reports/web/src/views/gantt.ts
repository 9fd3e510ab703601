// What is each stage doing?
import { card, missing } from "../card";
import { fileName, h, save } from "../dom";
import { percent, seconds, shortened, words } from "../format";
import { GanttChart } from "../gantt/chart";
import { chain } from "../gantt/critical";
import { Spans } from "../gantt/spans";
import { chromeTrace, speedscope } from "../gantt/traces";
import type { Operation, Step } from "../schema";
import { objectTable } from "../table";
import { type Context, isStep, totalOf, type View } from "../view";
import { operationDetail } from "./overview";

/// The operations that a span consists of: its own by name, else those of its phase.
function operationsOf(step: Step, spans: Spans, i: number): Operation[] {
  const list = step.operations ?? [];
  const named = spans.name(i) ? list.filter((o) => o.name === spans.name(i)) : [];
  if (named.length > 0) return named;
  const stream = spans.stream(i);
  const kind = spans.kind(i);
  if (kind !== "task" && kind !== "") return [];
  return list.filter((o) => o.phase === spans.phase(i) && (o.stream ?? "compute") === stream)
    .sort((a, b) => totalOf(step, b) - totalOf(step, a));
}

function tooltip(step: Step, spans: Spans, i: number): HTMLElement {
  const top = operationsOf(step, spans, i)[0];
  return h("div", { class: "tip" },
    h("div", { class: "tip-title" }, shortened(spans.label(i), 120)),
    h("div", { class: "tip-line" }, h("span", {}, "lasts"), h("b", {}, seconds(spans.duration[i]))),
    h("div", { class: "tip-line" }, h("span", {}, "starts"), h("b", {}, seconds(spans.start[i]))),
    h("div", { class: "tip-line" }, h("span", {}, `rank ${spans.rank[i]}, ${spans.stream(i)}`), spans.chunk[i] > 0 ? h("b", {}, `chunk ${spans.chunk[i]}`) : null),
    top ? [h("div", { class: "tip-line" }, h("span", {}, "longest op"), h("b", {}, shortened(top.name, 60))),
      top.formula ? h("code", {}, shortened(top.formula, 160)) : null,
      top.source ? h("div", { class: "note" }, shortened(top.source, 160)) : null] : null);
}

function spanDetail(step: Step, spans: Spans, i: number, chart: () => GanttChart): HTMLElement {
  const list = operationsOf(step, spans, i);
  return h("div", { class: "explain" },
    h("h4", {}, `${shortened(spans.label(i), 160)} on rank ${spans.rank[i]}`),
    h("p", {}, `From ${seconds(spans.start[i])} to ${seconds(spans.start[i] + spans.duration[i])}: ${seconds(spans.duration[i])} `,
      h("button", { type: "button", class: "small", onclick: () => chart().zoomTo(i) }, "Zoom to it")),
    list.length === 0 ? h("p", { class: "note" }, "The answer names no operations of this span.")
      : list.slice(0, 12).map((operation) => h("details", {},
          h("summary", {}, shortened(operation.name, 120), " ", h("span", { class: "note" }, operation.share !== undefined ? `${percent(operation.share)} of the step` : "")),
          operationDetail(operation))));
}

function legend(spans: Spans, streams: boolean): HTMLElement {
  const names = new Set<string>();
  for (let i = 0; i < spans.count; i += Math.max(1, Math.floor(spans.count / 5000))) {
    if (streams || spans.stream(i) === "compute") names.add(spans.category(i));
  }
  return h("ul", { class: "legend inline", "aria-label": "Colours" }, [...names, "bubble"].map((name) =>
    h("li", {}, h("span", { class: `swatch${name === "bubble" ? " hatched" : ""}`, style: `background-color:var(--part-${name}, var(--part-host))` }), words(name))));
}

export const gantt: View = {
  id: "timeline",
  tab: "Timeline",
  question: "What is each stage doing?",
  takes: isStep,
  render: ({ chosen }: Context) => {
    const step = chosen.answer as Step;
    if (!step.timeline || step.timeline.packed.rows === 0) {
      return [missing("Timeline", "The answer has no timeline. Make it again with", "--timeline")];
    }
    const spans = new Spans(step.timeline);
    const world = step.timeline.ranks === "world";
    const given = (step.critical_path ?? []).length > 0;
    const detail = h("div", { class: "detail", "aria-live": "polite" });
    const busy = spans.busy();
    const idle = busy.length > 0 && spans.end > 0 ? 1 - busy.reduce((sum, b) => sum + b.busy, 0) / (busy.length * spans.end) : 0;
    const chart: GanttChart = new GanttChart({
      spans, operations: step.operations ?? [], weight: (o) => totalOf(step, o), critical: given ? (step.critical_path ?? []) : chain(spans),
      label: `Timeline of ${spans.ranks.length} ${world ? "ranks" : "stages"}, ${spans.count} spans, ${seconds(spans.end)}. The table below has busy and idle time of each.`,
      onSelect: (i) => detail.replaceChildren(spanDetail(step, spans, i, () => chart)),
      tooltip: (i) => tooltip(step, spans, i),
    });
    const left = spans.omitted > 0 ? ` ${spans.omitted.toLocaleString("en-US")} spans of other ranks are left out.` : "";
    const path = given ? "" : " The critical path is read from the timeline: each span is outlined with the one that ended last before it.";
    return [
      h("p", { class: "lead" }, `${spans.ranks.length} ${world ? "ranks" : "pipeline ranks"} are idle ${percent(idle)} of ${seconds(spans.end)} on average.`),
      h("div", { class: "cards" },
        card({
          title: "Timeline", wide: true,
          note: `Each row is a ${world ? "rank" : "pipeline rank"}; numbers are microbatches${spans.chunk.some((c) => c > 0) ? ", later chunks are lighter" : ""}. Click the chart, then scroll to zoom; drag to pan; double-click a span to zoom to it; keys + − ← → 0 n p.${left}${path}`,
          actions: [
            { name: "Perfetto", what: "Save a trace for Perfetto (ui.perfetto.dev)", run: () => save(fileName(chosen.name, "trace.json"), chromeTrace(spans, world), "application/json") },
            { name: "speedscope", what: "Save a profile for speedscope", run: () => save(fileName(chosen.name, "speedscope.json"), speedscope(spans, world, chosen.name), "application/json") },
          ],
          body: [legend(spans, true), chart.element, detail],
        }),
        objectTable("How busy is each rank?", busy.map((b) => ({
          rank: b.rank, busy_s: b.busy, idle_s: spans.end - b.busy, busy_share: b.busy / spans.end, first_start_s: b.first, last_end_s: b.last, spans: b.spans,
        })), ["rank"], { columns: [
          { key: "rank" }, { key: "busy_s" }, { key: "idle_s" },
          { key: "busy_share", quantity: "fraction", share: (row) => busy[row].busy / spans.end },
          { key: "first_start_s" }, { key: "last_end_s" }, { key: "spans" }] })),
    ];
  },
};
