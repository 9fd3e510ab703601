// The frame of the page: title, tabs, the chosen answer, colours, provenance.
import { h, svg } from "./dom";
import { shortened, show, words } from "./format";
import type { NamedAnswer, Report } from "./schema";
import { mode, startTheme, toggleTheme } from "./theme";
import type { View } from "./view";
import { accuracy } from "./views/accuracy";
import { advice } from "./views/advice";
import { difference } from "./views/difference";
import { evaluated } from "./views/evaluated";
import { gantt } from "./views/gantt";
import { generation } from "./views/generation";
import { memoryOverTime } from "./views/memory";
import { network } from "./views/network";
import { overview } from "./views/overview";
import { scaling } from "./views/scaling";
import { serving } from "./views/serving";
import { sweep } from "./views/sweep";

/// The answers under names without the folders that all of them share.
function withoutCommonFolder(list: NamedAnswer[]): NamedAnswer[] {
  const folders = list.map((a) => a.name.slice(0, a.name.lastIndexOf("/") + 1));
  let common = folders[0] ?? "";
  while (!folders.every((f) => f.startsWith(common))) common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1);
  return list.map((a) => ({ ...a, name: a.name.slice(common.length) || a.name }));
}

const VIEWS: View[] = [overview, gantt, memoryOverTime, generation, serving, advice, sweep, accuracy, difference, scaling, network, evaluated];

const report = JSON.parse(document.getElementById("data")?.textContent ?? "{}") as Report;
const answers = withoutCommonFolder(report.answers ?? []);
const answersOf = (view: View) => answers.filter((a) => view.takes(a.answer));
const views = VIEWS.filter((view) => {
  const list = answersOf(view);
  return list.length >= (view.least ?? 1) && (view.fills?.(list) ?? true);
});
const state = { view: views[0]?.id ?? "", answer: 0 };

const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views" });
const main = h("main", { id: "view", tabindex: "-1" });

function readHash(): void {
  const [view, answer] = location.hash.slice(1).split("/");
  if (views.some((v) => v.id === view)) state.view = view;
  const index = Number(answer);
  if (Number.isInteger(index) && index >= 0 && index < answers.length) state.answer = index;
}

function go(view: string, answer = state.answer): void {
  state.view = view;
  state.answer = answer;
  history.replaceState(null, "", `#${view}/${answer}`);
  render();
}

function provenance(list: NamedAnswer[]): HTMLElement {
  const first = ["version", "commit", "profile", "fidelity", "machine", "clock", "date", "command"];
  return h("footer", { class: "provenance", "aria-label": "Where this comes from" },
    h("h2", {}, "Where this comes from"),
    list.map(({ name, answer }) => {
      const made: Record<string, unknown> = { fidelity: answer.fidelity, ...answer.provenance };
      const keys = first.filter((k) => made[k] !== undefined && made[k] !== null && made[k] !== "").concat(Object.keys(made).filter((k) => !first.includes(k)));
      return h("details", { open: list.length === 1 },
        h("summary", {}, shortened(name, 160), " ", h("span", { class: "badge" }, answer.kind)),
        h("dl", {},
          answer.scenario?.file ? [h("dt", {}, "scenario"), h("dd", {}, shortened(answer.scenario.file, 600))] : null,
          keys.map((key) => [h("dt", {}, words(key)), h("dd", {}, key === "command" ? h("code", {}, show(made[key])) : shortened(show(made[key]), 600))]),
          keys.length === 0 ? [h("dt", {}, "provenance"), h("dd", {}, "The answer carries none.")] : null));
    }),
    report.command ? h("p", { class: "note" }, "This page: ", h("code", {}, report.command)) : null);
}

function picker(view: View, list: NamedAnswer[], chosen: NamedAnswer): HTMLElement | null {
  if (view.all || list.length < 2) return null;
  return h("label", { class: "picker" }, "Answer ",
    h("select", { onchange: (event) => go(view.id, answers.indexOf(list[(event.target as HTMLSelectElement).selectedIndex])) },
      list.map((a) => h("option", { selected: a === chosen }, shortened(`${a.name} (${a.answer.kind})`, 90)))));
}

function render(): void {
  const view = views.find((v) => v.id === state.view);
  tabs.replaceChildren(...views.map((v) =>
    h("button", {
      type: "button", role: "tab", id: `tab-${v.id}`, "aria-selected": String(v === view), "aria-controls": "view",
      tabindex: v === view ? "0" : "-1", title: v.question, onclick: () => go(v.id),
    }, v.tab)));
  if (!view) {
    main.replaceChildren(h("section", { class: "card missing" }, h("h2", {}, "Nothing was evaluated"),
      h("p", {}, "This report holds no answer. Name one or more files that a verb printed with --json: "),
      h("code", {}, "isochrone report answer.json --out report.html")));
    return;
  }
  const list = answersOf(view);
  const chosen = list.includes(answers[state.answer]) ? answers[state.answer] : list[0];
  main.setAttribute("aria-labelledby", `tab-${view.id}`);
  main.replaceChildren(
    h("div", { class: "view-head" }, h("h2", {}, view.question), picker(view, list, chosen)),
    ...view.render({ report, answers: list, chosen }),
    provenance(view.all ? list : [chosen]));
  document.getElementById(`tab-${view.id}`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function onTabKey(event: KeyboardEvent): void {
  const at = views.findIndex((v) => v.id === state.view);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: views.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  go(views[(to + views.length) % views.length].id);
  document.getElementById(`tab-${state.view}`)?.focus();
}

function logo(): SVGElement {
  const arc = (r: number, opacity: number) => svg("circle", { cx: 12, cy: 12, r, fill: "none", stroke: "currentColor", "stroke-width": 2, opacity });
  return svg("svg", { viewBox: "0 0 24 24", width: 30, height: 30, class: "logo", "aria-hidden": "true" },
    arc(10.5, 0.35), arc(6.5, 0.65), svg("circle", { cx: 12, cy: 12, r: 2.6, fill: "currentColor" }));
}

function icon(path: string): SVGElement {
  return svg("svg", { viewBox: "0 0 24 24", width: 18, height: 18, "aria-hidden": "true" },
    svg("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round", "stroke-linejoin": "round" }));
}

/// What a press would give: a sun in the dark, a moon in the light.
function themeIcon(): SVGElement {
  return icon(mode() === "dark"
    ? "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5"
    : "M20 14.5A8.5 8.5 0 0 1 9.5 4A8.5 8.5 0 1 0 20 14.5z");
}

function start(): void {
  startTheme();
  document.title = `${shortened(report.title || "Report", 80)} – Isochrone`;
  const theme = h("button", { type: "button", class: "tool", id: "theme", "aria-label": "Change between light and dark",
    onclick: () => { toggleTheme(); theme.replaceChildren(themeIcon()); } }, themeIcon());
  const counted = `${answers.length} ${answers.length === 1 ? "answer" : "answers"}`;
  tabs.addEventListener("keydown", onTabKey);
  document.getElementById("app")?.replaceChildren(
    h("a", { class: "skip", href: "#view", onclick: (e) => { e.preventDefault(); main.focus(); } }, "Skip to the view"),
    h("header", {},
      h("div", { class: "bar" }, logo(),
        h("div", { class: "titles" }, h("h1", { title: shortened(report.title, 600) }, shortened(report.title || "Report", 240)),
          h("p", { class: "note" }, `Isochrone report · ${counted}`)),
        theme,
        h("button", { type: "button", class: "tool", "aria-label": "Print", onclick: () => print() }, icon("M7 9V3h10v6M7 18H4v-7a2 2 0 0 1 2-2h12a2 2 0 0 1 2 2v7h-3M7 14h10v7H7z"))),
      h("nav", {}, tabs)),
    main);
  readHash();
  addEventListener("hashchange", () => { readHash(); render(); });
  render();
  document.documentElement.dataset.ready = "true";
}

start();
