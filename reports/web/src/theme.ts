// Colours. Categories follow Okabe & Ito, "Color Universal Design", 2008: told apart with any colour vision; no view tells
// anything by colour alone.
export type Mode = "light" | "dark";

export interface Colours {
  mode: Mode;
  text: string;
  muted: string;
  line: string;
  card: string;
  accent: string;
  good: string;
  bad: string;
  series: string[];
  part: (name: string) => string;
}

const LIGHT: Record<string, string> = {
  compute: "#0072b2",
  recompute: "#56b4e9",
  tensor: "#e69f00",
  context: "#b8a600",
  expert: "#cc79a7",
  pipeline: "#d55e00",
  data: "#009e73",
  copy: "#8c6d46",
  optimizer: "#5b4ba0",
  host: "#6b7280",
  bubble: "#d3d8e0",
  forward: "#0072b2",
  backward: "#e08e00",
  backward_input: "#e08e00",
  backward_weight: "#009e73",
  overlapped: "#8a5fbf",
  prologue: "#8c6d46",
  epilogue: "#5b4ba0",
  parameters: "#0072b2",
  gradients: "#e69f00",
  activations: "#009e73",
  workspace: "#56b4e9",
  communication: "#d55e00",
  framework: "#9aa3b2",
};
const DARK: Record<string, string> = {
  ...LIGHT,
  compute: "#3d9bdc",
  recompute: "#8fd0f5",
  tensor: "#f0b429",
  context: "#e5d84b",
  expert: "#e29bc2",
  pipeline: "#f0803c",
  data: "#2fc49a",
  copy: "#bb9a70",
  optimizer: "#9d8fe0",
  host: "#9aa3b2",
  bubble: "#3a4353",
  forward: "#3d9bdc",
  backward: "#f0b429",
  backward_input: "#f0b429",
  backward_weight: "#2fc49a",
  overlapped: "#b794e6",
  prologue: "#bb9a70",
  epilogue: "#9d8fe0",
  parameters: "#3d9bdc",
  gradients: "#f0b429",
  activations: "#2fc49a",
  workspace: "#8fd0f5",
  communication: "#f0803c",
  framework: "#707b8c",
};
const SERIES = ["compute", "tensor", "data", "pipeline", "expert", "recompute", "optimizer", "copy"];

let chosen: Mode | null = null;
let printing = false;
const listeners = new Set<() => void>();
const system = matchMedia("(prefers-color-scheme: dark)");

export function mode(): Mode {
  if (printing) return "light";
  return chosen ?? (system.matches ? "dark" : "light");
}

export function colours(): Colours {
  const dark = mode() === "dark";
  const parts = dark ? DARK : LIGHT;
  return {
    mode: mode(),
    text: dark ? "#e6eaf2" : "#1a2233",
    muted: dark ? "#98a3b8" : "#5b6679",
    line: dark ? "#2c3444" : "#e1e5ec",
    card: dark ? "#171c26" : "#ffffff",
    accent: dark ? "#3d9bdc" : "#0072b2",
    good: dark ? "#2fc49a" : "#00785a",
    bad: dark ? "#ff8a5c" : "#b84300",
    series: SERIES.map((name) => parts[name]),
    part: (name) => parts[name] ?? parts.host,
  };
}

function apply(): void {
  const root = document.documentElement;
  root.dataset.theme = mode();
  for (const [name, colour] of Object.entries(mode() === "dark" ? DARK : LIGHT)) root.style.setProperty(`--part-${name}`, colour);
  listeners.forEach((f) => f());
}

/// Calls `f` whenever the colours change; returns how to stop.
export function onThemeChange(f: () => void): () => void {
  listeners.add(f);
  return () => listeners.delete(f);
}

export function toggleTheme(): void {
  chosen = mode() === "dark" ? "light" : "dark";
  apply();
}

export function startTheme(): void {
  system.addEventListener("change", apply);
  addEventListener("beforeprint", () => {
    printing = true;
    apply();
  });
  addEventListener("afterprint", () => {
    printing = false;
    apply();
  });
  apply();
}
