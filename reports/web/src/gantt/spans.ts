// A timeline as arrays sorted by lane and start, so that a window of time is found by bisection.
import { codesOf, numbersOf } from "../columns";
import type { Timeline } from "../schema";

/// One stream of one rank: spans [from, to) of the arrays.
export interface Lane {
  rank: number;
  stream: string;
  from: number;
  to: number;
}

export class Spans {
  readonly count: number;
  readonly start: Float64Array;
  readonly duration: Float64Array;
  readonly rank: Float64Array;
  readonly chunk: Float64Array;
  readonly microbatch: Float64Array;
  readonly lanes: Lane[] = [];
  readonly ranks: number[];
  readonly streams: string[];
  readonly end: number;
  readonly omitted: number;
  /// Least spans are summed per lane for bisection: the longest span so far ends here.
  private readonly reach: Float64Array;
  private readonly words: Record<"stream" | "kind" | "phase" | "name", { words: unknown[]; codes: Uint16Array }>;
  private readonly names: string[];

  constructor(timeline: Timeline) {
    const { rows, columns } = timeline.packed;
    this.count = rows;
    this.omitted = timeline.packed.omitted;
    this.names = timeline.names ?? [];
    const numbers = (name: string) => numbersOf(columns[name], rows);
    this.start = numbers("start_s");
    this.duration = numbers("duration_s");
    this.rank = numbers("rank");
    this.chunk = numbers("chunk");
    this.microbatch = numbers("microbatch");
    const words = (name: string) => codesOf(columns[name], rows);
    this.words = { stream: words("stream"), kind: words("kind"), phase: words("phase"), name: words("name") };
    this.reach = new Float64Array(rows);
    let end = 0;
    for (let i = 0; i < rows; i++) {
      const last = this.lanes[this.lanes.length - 1];
      const fresh = !last || last.rank !== this.rank[i] || last.stream !== this.stream(i);
      if (fresh) this.lanes.push({ rank: this.rank[i], stream: this.stream(i), from: i, to: i + 1 });
      else last.to = i + 1;
      const finish = this.start[i] + this.duration[i];
      this.reach[i] = fresh ? finish : Math.max(this.reach[i - 1], finish);
      end = Math.max(end, finish);
    }
    this.end = end;
    this.ranks = [...new Set(this.lanes.map((l) => l.rank))].sort((a, b) => a - b);
    this.streams = [...new Set(this.lanes.map((l) => l.stream))];
  }

  stream(i: number): string {
    return this.word("stream", i);
  }
  kind(i: number): string {
    return this.word("kind", i);
  }
  phase(i: number): string {
    return this.word("phase", i);
  }
  /// The span's own name, or "": of a span that is no task, it stands where a task has its phase.
  name(i: number): string {
    const kind = this.kind(i);
    if (kind !== "task" && kind !== "message" && kind !== "") return this.phase(i) || kind;
    const { words, codes } = this.words.name;
    const index = words[codes[i]];
    return typeof index === "number" && index >= 0 ? (this.names[index] ?? "") : "";
  }

  private word(column: "stream" | "kind" | "phase", i: number): string {
    const { words, codes } = this.words[column];
    return String(words[codes[i]] ?? "");
  }

  /// The colour's name: what a task does, or which stream a message keeps busy.
  category(i: number): string {
    const kind = this.kind(i);
    if (kind === "prologue" || kind === "epilogue") return this.stream(i) === "compute" ? "optimizer" : this.stream(i);
    if (this.stream(i) !== "compute") return this.stream(i);
    return kind === "task" || kind === "" ? this.phase(i) || "host" : "compute";
  }

  label(i: number): string {
    const own = this.name(i);
    const kind = this.kind(i);
    if (own) return own.replaceAll("_", " ");
    const what = kind === "message" ? `${this.phase(i)} message` : this.phase(i) || kind;
    return `${what.replaceAll("_", " ")}, microbatch ${this.microbatch[i]}`;
  }

  /// The first span of `lane` that may reach past `time`.
  firstAt(lane: Lane, time: number): number {
    let low = lane.from;
    let high = lane.to;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.reach[middle] > time) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /// The innermost span of `lane` at `time`, or -1. Spans of one lane nest, so the last that starts before it is it.
  at(lane: Lane, time: number): number {
    let found = -1;
    for (let i = this.firstAt(lane, time); i < lane.to && this.start[i] <= time; i++) {
      if (this.start[i] + this.duration[i] >= time) found = i;
    }
    return found;
  }

  /// Per rank: seconds in which its compute stream is busy, and its first start and last end.
  busy(): { rank: number; busy: number; first: number; last: number; spans: number }[] {
    return this.lanes.filter((l) => l.stream === "compute").map((lane) => {
      let busy = 0;
      let covered = 0;
      let last = 0;
      for (let i = lane.from; i < lane.to; i++) {
        const finish = this.start[i] + this.duration[i];
        busy += Math.max(0, finish - Math.max(this.start[i], covered));
        covered = Math.max(covered, finish);
        last = Math.max(last, finish);
      }
      return { rank: lane.rank, busy, first: this.start[lane.from], last, spans: lane.to - lane.from };
    });
  }
}
