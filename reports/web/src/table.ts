// A table of any length: only the rows in sight are elements. Sorts, filters, copies and saves as CSV.
import { card } from "./card";
import { announce, copy, fileName, h, save } from "./dom";
import { csv, type Quantity, quantityOf, shortened, show, words } from "./format";
import type { Scalar } from "./schema";

export interface TableColumn {
  key: string;
  title?: string;
  quantity?: Quantity;
  /// Draws a bar of this share of the cell behind the number.
  share?: (row: number) => number;
}

export interface TableSpec {
  title: string;
  note?: string;
  columns: TableColumn[];
  count: number;
  at: (row: number, key: string) => Scalar;
  sortBy?: string;
  descending?: boolean;
  /// These rows come last, however the table is sorted.
  last?: (row: number) => boolean;
  onFilter?: (rows: number[]) => void;
  detail?: (row: number) => HTMLElement;
  height?: number;
}

const ROW_HEIGHT = 34;
const SLACK = 8; // rows kept above and below the view
const PRINTED = 60;

type Test = (row: number) => boolean;

/// "tensor=8 step_time_s<2 gelu": every condition and every word must hold. A word is looked for in all cells.
export function parseFilter(text: string, spec: Pick<TableSpec, "columns" | "at">): Test {
  const tests: Test[] = [];
  for (const token of text.trim().split(/\s+/).filter(Boolean)) {
    const found = /^([\w.]+)(<=|>=|!=|=|<|>)(.+)$/.exec(token);
    const column = found && spec.columns.find((c) => c.key === found[1] || c.key.endsWith(`.${found[1]}`));
    if (found && column) {
      const [, , operator, wanted] = found;
      const number = Number(wanted);
      tests.push((row) => {
        const value = spec.at(row, column.key);
        if (operator === "=") return String(value) === wanted || (value !== null && value !== "" && Number(value) === number);
        if (operator === "!=") return String(value) !== wanted;
        if (typeof value !== "number") return false;
        return operator === "<" ? value < number : operator === ">" ? value > number : operator === "<=" ? value <= number : value >= number;
      });
    } else {
      const word = token.toLowerCase();
      tests.push((row) => spec.columns.some((c) => String(spec.at(row, c.key) ?? "").toLowerCase().includes(word)));
    }
  }
  return (row) => tests.every((t) => t(row));
}

function compare(a: Scalar, b: Scalar): number {
  const missingA = a === null || a === "";
  const missingB = b === null || b === "";
  if (missingA || missingB) return Number(missingA) - Number(missingB);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

/// Width in characters that fits the head and a sample of the cells.
function widthOf(column: TableColumn, spec: TableSpec, quantity: Quantity): number {
  let widest = Math.min(18, (column.title ?? words(column.key)).length + 3);
  const step = Math.max(1, Math.floor(spec.count / 200));
  for (let row = 0; row < spec.count; row += step) {
    widest = Math.max(widest, Math.min(44, show(spec.at(row, column.key), quantity).length + 1));
  }
  return Math.max(6, widest) + 2;
}

/// Whether the column's first cells are numbers: then its head stands on the right, like them.
function isNumeric(column: TableColumn, spec: TableSpec): boolean {
  for (let row = 0; row < Math.min(spec.count, 50); row++) {
    const value = spec.at(row, column.key);
    if (value !== null) return typeof value === "number";
  }
  return false;
}

class VirtualTable {
  private order: number[] = [];
  private open: number | null = null;
  private sortKey: string | undefined;
  private descending: boolean;
  private readonly quantities: Quantity[];
  private readonly numeric: boolean[];
  private readonly body = h("tbody");
  private readonly heads: HTMLElement[];
  readonly status = h("span", { class: "note", role: "status" });
  readonly box: HTMLElement;
  private readonly detail = h("div", { class: "detail", "aria-live": "polite" });

  constructor(private readonly spec: TableSpec) {
    this.sortKey = spec.sortBy;
    this.descending = spec.descending ?? false;
    this.quantities = spec.columns.map((c) => c.quantity ?? quantityOf(c.key));
    this.numeric = spec.columns.map((c) => isNumeric(c, spec));
    this.heads = spec.columns.map((c, i) =>
      h("th", { scope: "col", class: this.numeric[i] ? "num" : "" },
        h("button", { type: "button", class: "sort", title: c.key, onclick: () => this.sort(c.key) }, c.title ?? words(c.key))));
    const widths = spec.columns.map((c, i) => widthOf(c, spec, this.quantities[i]));
    const total = widths.reduce((a, b) => a + b, 0);
    this.box = h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": spec.title, style: `max-height:${spec.height ?? 420}px` },
      h("table", { class: "virtual", style: `min-width:${total}ch`, "aria-rowcount": spec.count + 1 },
        h("colgroup", {}, widths.map((w) => h("col", { style: `width:${(100 * w) / total}%` }))),
        h("thead", {}, h("tr", {}, this.heads)), this.body));
    this.box.addEventListener("scroll", () => this.draw());
    addEventListener("beforeprint", () => this.draw(PRINTED));
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.filter("");
  }

  element(): HTMLElement[] {
    return this.spec.detail ? [this.box, this.detail] : [this.box];
  }

  filter(text: string): void {
    const test = parseFilter(text, this.spec);
    this.order = [];
    for (let row = 0; row < this.spec.count; row++) if (test(row)) this.order.push(row);
    const all = this.spec.count.toLocaleString("en-US");
    this.status.textContent =
      this.order.length === this.spec.count ? `${all} rows` : `${this.order.length.toLocaleString("en-US")} of ${all} rows`;
    this.arrange();
    if (this.spec.onFilter) this.spec.onFilter(this.order);
  }

  private sort(key: string): void {
    this.descending = this.sortKey === key ? !this.descending : false;
    this.sortKey = key;
    this.arrange();
  }

  private arrange(): void {
    const key = this.sortKey;
    if (key !== undefined) {
      const values = new Map(this.order.map((row) => [row, this.spec.at(row, key)]));
      const sign = this.descending ? -1 : 1;
      this.order.sort((a, b) => {
        const x = values.get(a) ?? null;
        const y = values.get(b) ?? null;
        const by = compare(x, y);
        const after = Number(this.spec.last?.(a) ?? false) - Number(this.spec.last?.(b) ?? false);
        return after || (x === null || y === null ? by : sign * by) || a - b;
      });
    }
    this.heads.forEach((head, i) =>
      this.spec.columns[i].key === key
        ? head.setAttribute("aria-sort", this.descending ? "descending" : "ascending")
        : head.removeAttribute("aria-sort"));
    this.draw();
  }

  private row(at: number): HTMLElement {
    const index = this.order[at];
    const cells = this.spec.columns.map((column, i) => {
      const value = this.spec.at(index, column.key);
      const text = show(value, this.quantities[i]);
      const number = typeof value === "number";
      const share = column.share?.(index);
      return h("td", {
          class: `${number || this.numeric[i] ? "num" : ""}${value === null ? " hole" : ""}`,
          title: text.length > 40 ? shortened(text, 600) : undefined,
          style: share !== undefined && Number.isFinite(share) ? `--share:${Math.min(1, Math.max(0, share)) * 100}%` : undefined,
          "data-bar": share !== undefined,
        },
        number ? h("data", { value: String(value) }, text) : shortened(text, 200));
    });
    const row = h("tr", { "aria-rowindex": at + 2, class: index === this.open ? "open" : "" }, cells);
    if (this.spec.detail) {
      row.tabIndex = 0;
      row.classList.add("clickable");
      row.addEventListener("click", () => this.show(index));
      row.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          this.show(index);
        }
      });
    }
    return row;
  }

  private show(index: number): void {
    this.open = this.open === index ? null : index;
    this.detail.replaceChildren(...(this.open === null || !this.spec.detail ? [] : [this.spec.detail(index)]));
    this.draw();
  }

  private draw(least = 0): void {
    const first = least > 0 ? 0 : Math.max(0, Math.floor(this.box.scrollTop / ROW_HEIGHT) - SLACK);
    const inSight = Math.ceil((this.box.clientHeight || 400) / ROW_HEIGHT) + 2 * SLACK;
    const last = Math.min(this.order.length, first + Math.max(inSight, least));
    const space = (rows: number) => h("tr", { class: "space", "aria-hidden": "true", style: `height:${rows * ROW_HEIGHT}px` });
    const rows: HTMLElement[] = [];
    if (first > 0) rows.push(space(first));
    for (let i = first; i < last; i++) rows.push(this.row(i));
    if (last < this.order.length) rows.push(space(this.order.length - last));
    if (this.order.length === 0) rows.push(h("tr", {}, h("td", { colspan: this.spec.columns.length, class: "hole" }, "No row.")));
    const focused = document.activeElement instanceof HTMLTableRowElement ? document.activeElement.getAttribute("aria-rowindex") : null;
    this.body.replaceChildren(...rows);
    if (focused) this.body.querySelector<HTMLElement>(`tr[aria-rowindex="${focused}"]`)?.focus({ preventScroll: true });
  }

  csv(): string {
    return csv(this.spec.columns.map((c) => c.key), this.order.map((row) => this.spec.columns.map((c) => this.spec.at(row, c.key))));
  }
}

export function tableCard(spec: TableSpec): HTMLElement {
  const table = new VirtualTable(spec);
  let pending = 0;
  const input = h("input", {
    type: "search", class: "filter", "aria-label": `Filter ${spec.title}`, spellcheck: "false",
    placeholder: spec.columns.length > 2 ? `Filter: words, or ${spec.columns[0].key}=…` : "Filter",
    oninput: () => {
      clearTimeout(pending);
      pending = window.setTimeout(() => table.filter(input.value), 120);
    },
  });
  return card({
    title: spec.title,
    note: spec.note,
    wide: true,
    actions: [
      { name: "Copy CSV", what: `Copy ${spec.title} as CSV`, run: () => copy(table.csv(), announce) },
      { name: "CSV", what: `Save ${spec.title} as CSV`, run: () => save(fileName(spec.title, "csv"), table.csv(), "text/csv") },
    ],
    body: [spec.count > 8 ? h("div", { class: "filter-line" }, input, table.status) : null, ...table.element()],
  });
}

/// A table of plain objects.
export function objectTable(
  title: string, rows: Record<string, unknown>[], first: string[], more: Partial<TableSpec> = {}): HTMLElement {
  const keys = new Set(first.filter((k) => rows.some((r) => r[k] !== undefined)));
  for (const row of rows) Object.keys(row).forEach((k) => keys.add(k));
  const scalar = (value: unknown): Scalar =>
    value === undefined || value === null ? null
      : typeof value === "object" ? JSON.stringify(value) : (value as Scalar);
  return tableCard({
    title, columns: [...keys].map((key) => ({ key })), count: rows.length, at: (row, key) => scalar(rows[row][key]), ...more,
  });
}
