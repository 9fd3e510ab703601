// The pipeline chart as a thing one can use: zoom, pan, hover, select, by mouse, finger and keyboard.
import { h } from "../dom";
import { seconds } from "../format";
import type { CriticalStep, Operation } from "../schema";
import { colours, onThemeChange } from "../theme";
import { AXIS, GUTTER, layOut, Painter, type Row, type Window } from "./painter";
import type { Spans } from "./spans";

export interface GanttOptions {
  spans: Spans;
  operations: Operation[];
  weight: (operation: Operation) => number;
  critical: CriticalStep[];
  label: string;
  onSelect: (span: number) => void;
  tooltip: (span: number) => HTMLElement;
}

const TALLEST = 620;

export class GanttChart {
  readonly element: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly tip = h("div", { class: "gantt-tip", hidden: true });
  private readonly where = h("span", { class: "note", role: "status" });
  private view: Window;
  private rows: Row[] = [];
  private contentHeight = 0;
  private streams = false;
  private showCritical = true;
  private selected = -1;
  private pending = 0;
  private pointers = new Map<number, { x: number; y: number }>();
  private moved = 0;

  constructor(private readonly options: GanttOptions) {
    this.view = { from: 0, to: options.spans.end || 1, top: 0 };
    this.canvas = h("canvas", { class: "gantt", tabindex: "0", role: "img", "aria-label": options.label });
    const button = (text: string, what: string, run: () => void, pressed?: boolean) =>
      h("button", { type: "button", class: "small", "aria-label": what, title: what, onclick: run,
        "aria-pressed": pressed === undefined ? undefined : String(pressed) }, text);
    const toggle = (text: string, what: string, start: boolean, run: (on: boolean) => void) => {
      const made = button(text, what, () => {
        const on = made.getAttribute("aria-pressed") !== "true";
        made.setAttribute("aria-pressed", String(on));
        run(on);
      }, start);
      return made;
    };
    const more = options.spans.streams.some((s) => s !== "compute");
    this.element = h("div", { class: "gantt-box" },
      h("div", { class: "gantt-tools", role: "toolbar", "aria-label": "Timeline" },
        button("+", "Zoom in", () => this.zoom(0.5)), button("−", "Zoom out", () => this.zoom(2)),
        button("Whole step", "Show the whole step", () => this.show(0, this.options.spans.end)),
        more ? toggle("Other streams", "Show the communication streams", false, (on) => { this.streams = on; this.arrange(); }) : null,
        options.critical.length > 0 ? toggle("Critical path", "Outline the critical path", true, (on) => { this.showCritical = on; this.redraw(); }) : null,
        this.where),
      h("div", { class: "gantt-frame" }, this.canvas, this.tip));
    this.listen();
  }

  /// Shows this window of time.
  show(from: number, to: number): void {
    const end = this.options.spans.end || 1;
    const least = end * 1e-7;
    const length = Math.min(end * 1.02, Math.max(least, to - from));
    const start = Math.max(-0.01 * end, Math.min(from, end * 1.01 - length));
    this.view = { ...this.view, from: start, to: start + length };
    this.redraw();
  }

  window(): Window {
    return { ...this.view };
  }

  zoomTo(span: number): void {
    const { start, duration } = this.options.spans;
    this.show(start[span] - 0.15 * duration[span], start[span] + 1.15 * duration[span]);
  }

  private zoom(factor: number, at = (this.view.from + this.view.to) / 2): void {
    this.show(at - (at - this.view.from) * factor, at + (this.view.to - at) * factor);
  }

  private pan(pixels: number): void {
    const time = (pixels / (this.canvas.clientWidth - GUTTER)) * (this.view.to - this.view.from);
    this.show(this.view.from + time, this.view.to + time);
  }

  private scroll(pixels: number): void {
    const most = Math.max(0, this.contentHeight - (this.canvas.clientHeight - AXIS));
    this.view.top = Math.max(0, Math.min(most, this.view.top + pixels));
    this.redraw();
  }

  private arrange(): void {
    const room = TALLEST - AXIS;
    const { rows, height } = layOut(this.options.spans, Math.min(room, 56 * this.options.spans.ranks.length), this.streams);
    this.rows = rows;
    this.contentHeight = height;
    this.canvas.style.height = `${Math.min(TALLEST, height + AXIS)}px`;
    this.scroll(0);
  }

  private redraw(): void {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.paint();
    });
  }

  private paint(): void {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (width === 0) return;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const g = this.canvas.getContext("2d");
    if (!g) return;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    const c = colours();
    new Painter(g, width, height).draw({
      spans: this.options.spans, rows: this.rows, operations: this.options.operations, weight: this.options.weight, critical: this.options.critical,
      showCritical: this.showCritical, selected: this.selected, colours: c, hatch: hatch(g, c.part("bubble"), c.card),
    }, this.view);
    this.where.textContent = `${seconds(Math.max(0, this.view.from))} to ${seconds(this.view.to)}`;
    this.canvas.dataset.from = String(this.view.from);
    this.canvas.dataset.to = String(this.view.to);
  }

  /// The span under a point of the canvas, or -1.
  private under(x: number, y: number): number {
    if (x < GUTTER || y > this.canvas.clientHeight - AXIS) return -1;
    const time = this.view.from + ((x - GUTTER) / (this.canvas.clientWidth - GUTTER)) * (this.view.to - this.view.from);
    const row = this.rows.find((r) => y + this.view.top >= r.y && y + this.view.top < r.y + r.height);
    const lane = row?.lanes.find((l) => y + this.view.top >= l.y && y + this.view.top < l.y + l.height);
    return lane ? this.options.spans.at(lane.lane, time) : -1;
  }

  private hover(x: number, y: number): void {
    const span = this.under(x, y);
    this.tip.hidden = span < 0;
    this.canvas.style.cursor = span < 0 ? "grab" : "pointer";
    if (span < 0) return;
    this.tip.replaceChildren(this.options.tooltip(span));
    const right = x + 300 > this.canvas.clientWidth;
    this.tip.style.left = right ? "auto" : `${x + 14}px`;
    this.tip.style.right = right ? `${this.canvas.clientWidth - x + 14}px` : "auto";
    this.tip.style.top = `${Math.max(0, y - 10)}px`;
  }

  private select(span: number): void {
    this.selected = span;
    if (span >= 0) this.options.onSelect(span);
    this.redraw();
  }

  /// The next span on the same lane, for the keyboard.
  private step(by: number): void {
    const { spans } = this.options;
    const next = this.selected < 0 ? 0 : Math.max(0, Math.min(spans.count - 1, this.selected + by));
    this.select(next);
    const middle = spans.start[next] + spans.duration[next] / 2;
    const length = this.view.to - this.view.from;
    if (middle < this.view.from || middle > this.view.to) this.show(middle - length / 2, middle + length / 2);
  }

  private listen(): void {
    const { canvas } = this;
    new ResizeObserver(() => this.arrange()).observe(canvas);
    onThemeChange(() => this.redraw());
    canvas.addEventListener("wheel", (event) => {
      if (event.shiftKey) this.scroll(event.deltaY);
      else if (event.ctrlKey || event.metaKey || event.altKey || document.activeElement === canvas) {
        const x = event.offsetX - GUTTER;
        const at = this.view.from + (x / (canvas.clientWidth - GUTTER)) * (this.view.to - this.view.from);
        this.zoom(Math.exp(Math.sign(event.deltaY) * 0.2), at);
      } else return; // the page scrolls until the chart is in use
      event.preventDefault();
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      this.moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => {
      this.pointers.delete(event.pointerId);
      if (this.moved < 4) this.select(this.under(event.offsetX, event.offsetY));
    });
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
    canvas.addEventListener("dblclick", (event) => {
      const span = this.under(event.offsetX, event.offsetY);
      if (span >= 0) this.zoomTo(span);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.hover(event.offsetX, event.offsetY);
    const now = { x: event.offsetX, y: event.offsetY };
    const other = [...this.pointers.entries()].find(([id]) => id !== event.pointerId)?.[1];
    this.moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (other) {
      const [old, fresh] = [Math.abs(before.x - other.x), Math.abs(now.x - other.x)];
      if (old > 10 && fresh > 10) this.zoom(old / fresh);
    } else {
      this.pan(before.x - now.x);
      this.scroll(before.y - now.y);
    }
    this.pointers.set(event.pointerId, now);
    this.tip.hidden = true;
  }

  private key(event: KeyboardEvent): void {
    const quarter = (this.canvas.clientWidth - GUTTER) / 4;
    const actions: Record<string, () => void> = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2),
      ArrowLeft: () => this.pan(-quarter), ArrowRight: () => this.pan(quarter),
      ArrowUp: () => this.scroll(-60), ArrowDown: () => this.scroll(60),
      Home: () => this.show(0, this.options.spans.end), 0: () => this.show(0, this.options.spans.end),
      n: () => this.step(1), p: () => this.step(-1),
      Enter: () => this.selected >= 0 && this.zoomTo(this.selected),
      Escape: () => this.select(-1),
    };
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }
}

/// Thin diagonal lines: a bubble is nothing, and looks like nothing.
function hatch(g: CanvasRenderingContext2D, line: string, ground: string): CanvasPattern | string {
  const tile = h("canvas", { width: 8, height: 8 });
  const t = tile.getContext("2d");
  if (!t) return line;
  t.fillStyle = ground;
  t.fillRect(0, 0, 8, 8);
  t.strokeStyle = line;
  t.lineWidth = 1.2;
  for (const x of [-4, 4, 12]) {
    t.beginPath();
    t.moveTo(x - 5, 9);
    t.lineTo(x + 5, -1);
    t.stroke();
  }
  return g.createPattern(tile, "repeat") ?? line;
}
