// The chain of spans that the end of the step hangs on, read from the timeline where the answer does not name it.
import type { CriticalStep } from "../schema";
import type { Lane, Spans } from "./spans";

const LOOKED_AT = 6; // spans of a lane that end last before a time

/// The spans of `lane` that end last before `time`, latest first.
function endedBefore(spans: Spans, lane: Lane, time: number): number[] {
  let low = lane.from;
  let high = lane.to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans.start[middle] < time) low = middle + 1;
    else high = middle;
  }
  const out: number[] = [];
  for (let i = low - 1; i >= lane.from && out.length < LOOKED_AT; i--) {
    if (spans.start[i] + spans.duration[i] <= time) out.push(i);
  }
  return out;
}

/// Back from the last span: what each one waited for is, of the spans before it on its rank and of those of its microbatch on
/// the ranks beside it (the first and the last are neighbours, for interleaved schedules), the one that ended last. Where two
/// ended together, the one on its own stream.
export function chain(spans: Spans): CriticalStep[] {
  if (spans.count === 0) return [];
  const slack = spans.end * 1e-9;
  const ranks = spans.ranks.length;
  const beside = new Map(spans.ranks.map((rank, i) => [rank, new Set([spans.ranks[(i + 1) % ranks], spans.ranks[(i + ranks - 1) % ranks]])]));
  let at = 0;
  for (let i = 1; i < spans.count; i++) {
    if (spans.start[i] + spans.duration[i] > spans.start[at] + spans.duration[at]) at = i;
  }
  const out: CriticalStep[] = [];
  for (let step = 0; step < spans.count && at >= 0; step++) {
    out.push({ rank: spans.rank[at], stream: spans.stream(at), phase: spans.phase(at), chunk: spans.chunk[at], microbatch: spans.microbatch[at], start_s: spans.start[at], duration_s: spans.duration[at] });
    const time = spans.start[at] + slack;
    let next = -1;
    let latest = -1;
    for (const lane of spans.lanes) {
      const own = lane.rank === spans.rank[at];
      if (!own && !beside.get(spans.rank[at])?.has(lane.rank)) continue;
      for (const i of endedBefore(spans, lane, time)) {
        if (i === at || spans.start[i] > spans.start[at] || (!own && spans.microbatch[i] !== spans.microbatch[at])) continue;
        const end = spans.start[i] + spans.duration[i];
        const better = end > latest + slack || (end > latest - slack && own && lane.stream === spans.stream(at));
        if (better) [next, latest] = [i, end];
        break;
      }
    }
    at = next;
  }
  return out.reverse();
}
