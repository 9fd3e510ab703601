// A titled box of a view, with what can be done with it in its corner.
import { type Child, h } from "./dom";
import { shortened } from "./format";

export interface Action {
  name: string;
  what: string;
  run: () => void;
}

export interface CardSpec {
  title: string;
  note?: string;
  wide?: boolean;
  actions?: Action[];
  body: Child[];
}

/// Cards under one another in one column of a view.
export function stack(...cards: Child[]): HTMLElement {
  return h("div", { class: "stack" }, cards);
}

export function card(spec: CardSpec): HTMLElement {
  return h("section", { class: `card${spec.wide ? " wide" : ""}`, "aria-label": spec.title },
    h("div", { class: "card-head" },
      h("div", {}, h("h3", {}, spec.title), spec.note ? h("p", { class: "note" }, spec.note) : null),
      spec.actions && spec.actions.length > 0
        ? h("div", { class: "actions", role: "group", "aria-label": `Save ${spec.title}` },
            spec.actions.map((a) =>
              h("button", { type: "button", class: "small", title: a.what, "aria-label": a.what, onclick: a.run }, a.name)))
        : null,
    ),
    spec.body,
  );
}

/// A view's part that the answer has no data for: what is missing, and how to get it.
export function missing(title: string, why: string, remedy: string): HTMLElement {
  return h("section", { class: "card missing", "aria-label": title },
    h("h3", {}, title), h("p", {}, why, " ", h("code", {}, remedy)));
}

/// A figure that matters: its name, its value as people read it and as JSON has it, and a line below.
export function figure(name: string, key: string, value: unknown, text: string, below: Child = null): HTMLElement {
  return h("div", { class: "figure" },
    h("div", { class: "figure-name" }, name),
    h("data", { class: "figure-value", "data-key": key, value: value === undefined || value === null ? "" : String(value) }, text),
    h("div", { class: "figure-below" }, below));
}

/// What the answer warns of; nothing where it does not.
export function warningsCard(list: string[] = []): HTMLElement | null {
  if (list.length === 0) return null;
  return h("section", { class: "card wide warning", role: "note", "aria-label": "Warnings" },
    h("h3", {}, list.length === 1 ? "One thing to know" : `${list.length} things to know`),
    h("ul", {}, list.map((w) => h("li", {}, shortened(String(w), 2000)))));
}
