// Draws a window of the timeline. Canvas 2D by hand: 131,000 spans redraw while a finger moves, which a chart library's
// element per span does not.
import { tick } from "../format";
import type { CriticalStep, Operation } from "../schema";
import type { Colours } from "../theme";
import type { Lane, Spans } from "./spans";

export interface Window {
  from: number;
  to: number;
  top: number; // pixels scrolled down
}

export interface Row {
  rank: number;
  y: number;
  height: number;
  lanes: { lane: Lane; y: number; height: number }[];
}

export const GUTTER = 56; // pixels for the ranks' names
export const AXIS = 26; // pixels for the time axis

/// Where each rank and stream lies. The compute stream is tall, the others are thin strips below it.
export function layOut(spans: Spans, available: number, streams: boolean): { rows: Row[]; height: number } {
  const least = streams ? 20 : 9;
  const height = Math.max(least, Math.min(streams ? 72 : 40, Math.floor(available / Math.max(1, spans.ranks.length))));
  const rows = spans.ranks.map((rank, i): Row => {
    const own = spans.lanes.filter((l) => l.rank === rank);
    const compute = own.filter((l) => l.stream === "compute");
    const others = streams ? own.filter((l) => l.stream !== "compute") : [];
    const gap = height > 14 ? 3 : 1;
    const inner = height - gap;
    const strip = others.length > 0 ? Math.max(2, Math.floor((inner * 0.5) / others.length)) : 0;
    const tall = inner - strip * others.length;
    const y = i * height;
    return {
      rank, y, height,
      lanes: [
        ...compute.map((lane) => ({ lane, y, height: tall })),
        ...others.map((lane, j) => ({ lane, y: y + tall + j * strip, height: Math.max(1, strip - 1) })),
      ],
    };
  });
  return { rows, height: rows.length * height };
}

/// "1.25 ms" steps that leave about 90 pixels between ticks.
function ticks(from: number, to: number, width: number): number[] {
  const rough = ((to - from) * 90) / Math.max(1, width);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((x) => x * power).find((s) => s >= rough) ?? rough;
  const out: number[] = [];
  for (let t = Math.ceil(from / step) * step; t <= to && out.length < 100; t += step) out.push(t);
  return out;
}

function tickText(time: number, span: number): string {
  const [unit, name] = span >= 1 ? [1, "s"] : span >= 1e-3 ? [1e-3, "ms"] : [1e-6, "µs"];
  const decimals = Math.max(0, Math.min(4, 1 - Math.floor(Math.log10(span / unit / 10))));
  return tick(`${(time / unit).toFixed(decimals)} ${name}`);
}

export interface Scene {
  spans: Spans;
  rows: Row[];
  operations: Operation[]; // longest first
  weight: (operation: Operation) => number;
  critical: CriticalStep[];
  showCritical: boolean;
  selected: number;
  colours: Colours;
  hatch: CanvasPattern | string;
}

export class Painter {
  private readonly mixed = new Map<string, string>();

  constructor(private readonly g: CanvasRenderingContext2D, private readonly width: number, private readonly height: number) {}

  draw(scene: Scene, view: Window): void {
    const { g, width, height } = this;
    const c = scene.colours;
    g.clearRect(0, 0, width, height);
    g.fillStyle = c.card;
    g.fillRect(0, 0, width, height);
    g.font = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
    g.save();
    g.beginPath();
    g.rect(GUTTER, 0, width - GUTTER, height - AXIS);
    g.clip();
    for (const row of scene.rows) {
      if (row.y - view.top > height || row.y + row.height < view.top) continue;
      for (const lane of row.lanes) this.lane(scene, view, lane);
    }
    if (scene.showCritical) this.critical(scene, view);
    if (scene.selected >= 0) this.outline(scene, view);
    g.restore();
    this.axis(scene, view);
    this.ranks(scene, view);
  }

  private x(view: Window, time: number): number {
    return GUTTER + ((time - view.from) / (view.to - view.from)) * (this.width - GUTTER);
  }

  /// A category's colour; later chunks of a rank are lighter, as the papers draw them.
  private colour(c: Colours, spans: Spans, i: number): string {
    const category = spans.category(i);
    const chunk = spans.stream(i) === "compute" ? Math.min(2, spans.chunk[i]) : 0;
    if (!(chunk > 0)) return c.part(category);
    const key = `${category} ${chunk}`;
    const known = this.mixed.get(key) ?? mix(c.part(category), c.card, 0.25 * chunk);
    this.mixed.set(key, known);
    return known;
  }

  private lane(scene: Scene, view: Window, { lane, y, height }: Row["lanes"][number]): void {
    const { g } = this;
    const { spans, colours } = scene;
    const top = y - view.top;
    if (lane.stream === "compute") {
      const left = Math.max(GUTTER, this.x(view, 0));
      g.fillStyle = scene.hatch;
      g.fillRect(left, top, Math.min(this.width, this.x(view, spans.end)) - left, height);
    }
    let painted = -1; // right edge of the last pixel column that is full
    let inner = -1; // end of the enclosing span, where spans nest
    g.textBaseline = "middle";
    for (let i = spans.firstAt(lane, view.from); i < lane.to && spans.start[i] < view.to; i++) {
      const finish = spans.start[i] + spans.duration[i];
      const left = this.x(view, spans.start[i]);
      const right = this.x(view, finish);
      if (right < GUTTER || (right <= painted && right - left < 1)) continue;
      const nested = finish <= inner + 1e-12;
      if (!nested) inner = finish;
      const room = right - left;
      const edge = room > 3 ? 0.5 : 0;
      g.fillStyle = this.colour(colours, spans, i);
      const inset = nested ? Math.floor(height * 0.5) : 0;
      g.fillRect(left + edge, top + inset, Math.max(0.6, room - 2 * edge), height - inset);
      painted = Math.max(painted, Math.floor(right));
      if (room > 16 && height > 10) this.inside(scene, i, Math.max(left, GUTTER), Math.min(right, this.width), left, right, top, height);
    }
  }

  /// The microbatch's number, and where there is room what the pass consists of.
  private inside(scene: Scene, i: number, from: number, to: number, left: number, right: number, top: number, height: number): void {
    const { g } = this;
    const { spans, colours } = scene;
    const task = spans.kind(i) === "task" || spans.kind(i) === "";
    const phase = spans.phase(i);
    const ops = task && right - left > 220 && height > 18 ? scene.operations.filter((o) => o.phase === phase && (o.stream ?? "compute") === "compute") : [];
    const own = spans.name(i);
    const text = own || (task ? String(spans.microbatch[i]) : "");
    const head = ops.length > 0 ? height * 0.45 : height;
    if (text) {
      const fits = g.measureText(text).width < to - from - 6 ? text : task && !own ? "" : text.slice(0, Math.max(0, Math.floor((to - from - 8) / 7)));
      g.fillStyle = inkOn(this.colour(colours, spans, i));
      if (fits) g.fillText(fits, Math.max(from + 4, Math.min((from + to) / 2 - g.measureText(fits).width / 2, to - g.measureText(fits).width - 4)), top + head / 2 + 0.5);
    }
    const whole = ops.reduce((sum, o) => sum + scene.weight(o), 0);
    if (whole <= 0) return;
    let x = left;
    ops.forEach((o, n) => {
      const width = (scene.weight(o) / whole) * (right - left);
      g.fillStyle = n % 2 ? "rgba(255,255,255,0.30)" : "rgba(255,255,255,0.16)";
      g.fillRect(x, top + head, width, height - head);
      if (width > 34) {
        g.fillStyle = inkOn(this.colour(colours, spans, i));
        g.save();
        g.beginPath();
        g.rect(x, top + head, width - 2, height - head);
        g.clip();
        g.fillText(o.name.slice(0, 80), Math.max(x, GUTTER) + 3, top + head + (height - head) / 2);
        g.restore();
      }
      x += width;
    });
  }

  private place(scene: Scene, rank: number, stream = "compute"): Row["lanes"][number] | undefined {
    const row = scene.rows.find((r) => r.rank === rank);
    return row?.lanes.find((l) => l.lane.stream === stream) ?? row?.lanes[0];
  }

  private critical(scene: Scene, view: Window): void {
    const { g } = this;
    g.strokeStyle = g.fillStyle = scene.colours.bad;
    g.lineWidth = 2;
    let last: [number, number] | null = null;
    for (const step of scene.critical) {
      const place = this.place(scene, step.rank, step.stream);
      if (!place) continue;
      const left = this.x(view, step.start_s);
      const right = this.x(view, step.start_s + step.duration_s);
      const middle = place.y - view.top + place.height / 2;
      if (right >= GUTTER && left <= this.width) {
        const top = place.y - view.top;
        if (right - left > 8) g.strokeRect(left, top + 1, right - left, place.height - 2);
        else g.fillRect(left, top + place.height - 3, Math.max(1, right - left), 3); // an outline would hide a narrow span
      }
      if (last && Math.abs(last[1] - middle) > 1) {
        g.beginPath();
        g.moveTo(...last);
        g.lineTo(left, middle);
        g.stroke();
      }
      last = [right, middle];
    }
  }

  private outline(scene: Scene, view: Window): void {
    const { g } = this;
    const i = scene.selected;
    const place = this.place(scene, scene.spans.rank[i], scene.spans.stream(i));
    if (!place) return;
    g.strokeStyle = scene.colours.text;
    g.lineWidth = 2;
    const left = this.x(view, scene.spans.start[i]);
    g.strokeRect(left, place.y - view.top, Math.max(2, this.x(view, scene.spans.start[i] + scene.spans.duration[i]) - left), place.height);
  }

  private axis(scene: Scene, view: Window): void {
    const { g, width, height } = this;
    g.fillStyle = scene.colours.card;
    g.fillRect(0, height - AXIS, width, AXIS);
    g.fillStyle = scene.colours.muted;
    g.strokeStyle = scene.colours.line;
    g.lineWidth = 1;
    g.textBaseline = "top";
    for (const t of ticks(view.from, view.to, width - GUTTER)) {
      const x = Math.round(this.x(view, t)) + 0.5;
      const text = tickText(t, view.to - view.from);
      g.beginPath();
      g.moveTo(x, height - AXIS);
      g.lineTo(x, height - AXIS + 5);
      g.stroke();
      const half = g.measureText(text).width / 2;
      if (x + half < width) g.fillText(text, Math.max(GUTTER, x - half), height - AXIS + 8);
    }
  }

  private ranks(scene: Scene, view: Window): void {
    const { g, height } = this;
    g.fillStyle = scene.colours.card;
    g.fillRect(0, 0, GUTTER, height - AXIS);
    g.fillStyle = scene.colours.muted;
    g.textBaseline = "middle";
    let free = -Infinity;
    for (const row of scene.rows) {
      const middle = row.y - view.top + row.height / 2;
      if (middle < free || middle < 6 || middle > height - AXIS - 6) continue;
      const text = String(row.rank);
      g.fillText(text, GUTTER - 10 - g.measureText(text).width, middle);
      free = middle + 14;
    }
  }
}

/// `share` of the way from one colour to another, both "#rrggbb".
function mix(from: string, to: string, share: number): string {
  const channel = (at: number) => Math.round(parseInt(from.slice(at, at + 2), 16) * (1 - share) + parseInt(to.slice(at, at + 2), 16) * share);
  return `#${[1, 3, 5].map((at) => channel(at).toString(16).padStart(2, "0")).join("")}`;
}

/// Black or white, whichever reads better on `colour` (WCAG relative luminance).
export function inkOn(colour: string): string {
  const channel = (at: number) => {
    const v = parseInt(colour.slice(at, at + 2), 16) / 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  };
  const luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  return luminance > 0.3 ? "#10151f" : "#ffffff";
}
