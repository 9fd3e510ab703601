// How does memory rise and fall?
import { missing } from "../card";
import { chartCard, tip } from "../chart";
import { numbersOf } from "../columns";
import { h } from "../dom";
import { bytes, GIB, gibTick, seconds, secondsTick } from "../format";
import type { Step } from "../schema";
import { objectTable } from "../table";
import { type Context, isStep, type View } from "../view";

export const memoryOverTime: View = {
  id: "memory",
  tab: "Memory",
  question: "How does memory rise and fall?",
  takes: isStep,
  render: ({ chosen }: Context) => {
    const step = chosen.answer as Step;
    const curves = (step.memory_over_time ?? []).map((curve) => ({
      stage: curve.stage, omitted: curve.omitted,
      time: numbersOf(curve.time_s, curve.points), bytes: numbersOf(curve.bytes, curve.points),
    })).filter((c) => c.time.length > 0);
    if (curves.length === 0) return [missing("Memory over time", "The answer has no memory over time. Make it again with", "--timeline")];
    const capacity = step.memory?.capacity_bytes;
    const peaks = curves.map((c) => {
      let at = 0;
      c.bytes.forEach((b, i) => { if (b > c.bytes[at]) at = i; });
      return { stage: c.stage, peak_bytes: c.bytes[at], at_s: c.time[at], least_bytes: Math.min(...c.bytes), swing_bytes: c.bytes[at] - Math.min(...c.bytes) };
    });
    const fullest = peaks.reduce((a, b) => (b.peak_bytes > a.peak_bytes ? b : a));
    const omitted = curves.reduce((sum, c) => sum + c.omitted, 0);
    // Twelve curves can be told apart; of more, the fullest and an even choice of the others are drawn.
    const drawn = curves.length <= 12 ? curves : curves.filter((c, i) => c.stage === fullest.stage || i % Math.ceil(curves.length / 11) === 0);
    const top = Math.max(capacity ?? 0, fullest.peak_bytes) * 1.05;
    return [
      h("p", { class: "lead" }, `Stage ${fullest.stage} is fullest: ${bytes(fullest.peak_bytes)} at ${seconds(fullest.at_s)}${capacity ? `, of ${bytes(capacity)}` : ""}.`),
      h("div", { class: "cards" },
        chartCard({
          title: "Memory of one GPU of each stage", wide: true, height: 430,
          note: [drawn.length < curves.length ? `${drawn.length} of ${curves.length} stages are drawn; the table has all.` : "",
            omitted > 0 ? `${omitted.toLocaleString("en-US")} points are left out; each stretch of time keeps its least and greatest.` : "",
            "Drag the bar below to zoom."].filter(Boolean).join(" "),
          label: peaks.slice(0, 8).map((p) => `stage ${p.stage} peaks at ${bytes(p.peak_bytes)}`).join(", "),
          numbers: () => ({
            columns: ["stage", "time_s", "bytes"],
            rows: curves.flatMap((c) => Array.from(c.time, (t, i) => [c.stage, t, c.bytes[i]])),
          }),
          option: (c, narrow) => ({
            legend: { data: drawn.map((d) => `stage ${d.stage}`) },
            grid: { left: 8, right: 16, top: 40, bottom: 64 },
            xAxis: { type: "value", max: Math.max(...drawn.map((d) => d.time[d.time.length - 1])), axisLabel: { formatter: secondsTick, showMaxLabel: false }, splitNumber: narrow ? 3 : 8, splitLine: { show: false } },
            yAxis: { type: "value", max: Math.ceil(top / GIB), axisLabel: { formatter: gibTick, showMaxLabel: false } },
            dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl" }, { type: "slider", height: 22, bottom: 8, borderColor: c.line, textStyle: { color: c.muted }, labelFormatter: (v: number) => seconds(v) }],
            tooltip: { trigger: "axis", formatter: (items: { seriesName: string; value: [number, number]; color: string }[]) =>
              tip(seconds(items[0]?.value[0] ?? 0), items.slice(0, 12).map((i): [string, string, string] => [i.seriesName, bytes(i.value[1] * GIB), i.color])) },
            series: drawn.map((d, n) => ({
              name: `stage ${d.stage}`, type: "line", step: "end", showSymbol: false, sampling: "minmax", lineStyle: { width: 1.6, type: n < 8 ? "solid" : "dashed" },
              data: Array.from(d.time, (t, i) => [t, d.bytes[i] / GIB]),
              ...(n === 0 && capacity && { markLine: { silent: true, symbol: "none", data: [{ yAxis: capacity / GIB }], label: { formatter: "capacity", position: "insideEndTop", color: c.bad }, lineStyle: { color: c.bad, type: "dashed", width: 1.5 } } }),
            })),
          }),
        }).element,
        objectTable("When is each stage fullest?", peaks, ["stage", "peak_bytes", "at_s", "least_bytes", "swing_bytes"])),
    ];
  },
};
