// The timeline as files that Perfetto and speedscope open; reports/trace.cc writes the same from the command line.
import type { Spans } from "./spans";

function megatronName(spans: Spans, i: number): string {
  const kind = spans.kind(i);
  const stream = spans.stream(i);
  const phase = spans.phase(i);
  const own = spans.name(i);
  if (own) return own;
  const direction = phase.startsWith("backward") ? "backward" : "forward";
  if (kind === "message" || stream === "pipeline") return `${direction}-send-recv`;
  if (stream === "data") return "all-grads-sync";
  if (phase === "backward_input") return "backward-compute (input)";
  if (phase === "backward_weight") return "backward-compute (weight)";
  if (phase === "forward" || phase === "backward") return `${direction}-compute`;
  return phase === "overlapped" ? "forward-backward-compute" : phase || kind;
}

function fullName(spans: Spans, i: number): string {
  return megatronName(spans, i) + (spans.microbatch[i] >= 0 ? ` ${spans.microbatch[i]}` : "");
}

/// Chrome JSON: one process per rank, one track per stream, times in microseconds.
export function chromeTrace(spans: Spans, world: boolean): string {
  const events: unknown[] = [];
  const tracks = new Map<number, number>();
  for (const lane of spans.lanes) {
    const thread = tracks.get(lane.rank) ?? 0;
    tracks.set(lane.rank, thread + 1);
    if (thread === 0) events.push({ ph: "M", name: "process_name", pid: lane.rank, args: { name: `${world ? "rank" : "pipeline rank"} ${lane.rank}` } });
    events.push({ ph: "M", name: "thread_name", pid: lane.rank, tid: thread, args: { name: lane.stream } });
    for (let i = lane.from; i < lane.to; i++) {
      events.push({ ph: "X", name: fullName(spans, i), cat: spans.kind(i), pid: lane.rank, tid: thread,
        ts: Number((spans.start[i] * 1e6).toFixed(3)), dur: Number((spans.duration[i] * 1e6).toFixed(3)) });
    }
  }
  return JSON.stringify({ displayTimeUnit: "ms", traceEvents: events });
}

export function speedscope(spans: Spans, world: boolean, name: string): string {
  const frames: { name: string }[] = [];
  const frameOf = new Map<string, number>();
  const profiles = spans.lanes.map((lane) => {
    const events: { type: "O" | "C"; frame: number; at: number }[] = [];
    const open: { frame: number; end: number }[] = [];
    let last = 0;
    const closeUntil = (time: number) => {
      while (open.length > 0 && open[open.length - 1].end <= time) {
        const done = open.pop() as { frame: number; end: number };
        last = Math.max(last, done.end);
        events.push({ type: "C", frame: done.frame, at: last });
      }
    };
    for (let i = lane.from; i < lane.to; i++) {
      closeUntil(spans.start[i]);
      const text = fullName(spans, i);
      const frame = frameOf.get(text) ?? frames.push({ name: text }) - 1;
      frameOf.set(text, frame);
      last = Math.max(last, spans.start[i]);
      events.push({ type: "O", frame, at: last });
      const end = spans.start[i] + spans.duration[i];
      open.push({ frame, end: open.length > 0 ? Math.min(end, open[open.length - 1].end) : end });
    }
    closeUntil(Infinity);
    return { type: "evented", name: `${world ? "rank" : "pipeline rank"} ${lane.rank}, ${lane.stream}`, unit: "seconds", startValue: 0, endValue: last, events };
  });
  return JSON.stringify({ $schema: "https://www.speedscope.app/file-format-schema.json", name, shared: { frames }, profiles });
}
