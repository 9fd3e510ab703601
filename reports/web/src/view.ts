// What a view is. Each answers one question; its tab shows only where some answer of the report can fill it.
import type { Answer, NamedAnswer, Operation, Report, Step } from "./schema";

export interface Context {
  report: Report;
  /// The answers that this view can show, and the chosen one.
  answers: NamedAnswer[];
  chosen: NamedAnswer;
}

export interface View {
  id: string;
  tab: string;
  question: string;
  /// Whether the view has something to say about this answer.
  takes: (answer: Answer) => boolean;
  /// Fewer answers than this, and the tab is absent.
  least?: number;
  /// Whether these answers together fill it; where absent, they do.
  fills?: (answers: NamedAnswer[]) => boolean;
  /// The view shows all its answers at once, so none is chosen.
  all?: boolean;
  render: (context: Context) => HTMLElement[];
}

export const isStep = (answer: Answer): answer is Step => answer.kind === "prediction" || answer.kind === "run";

/// A number, or NaN.
export const num = (value: unknown): number => (typeof value === "number" ? value : NaN);

/// Seconds of a step in all calls of an operation.
export function totalOf(step: Step, operation: Operation): number {
  if (operation.share !== undefined && step.step_time_s !== undefined) return operation.share * step.step_time_s;
  return (operation.seconds ?? 0) * (operation.count ?? 1);
}

/// GPUs of an answer: what it says, else the product of the degrees.
export function gpusOf(answer: Answer): number {
  const strategy = answer.scenario?.strategy ?? {};
  if (typeof answer.scenario?.gpus === "number") return answer.scenario.gpus;
  const degrees = ["tensor", "pipeline", "data", "context"].map((key) => num(strategy[key]));
  return degrees.some((d) => !Number.isNaN(d)) ? degrees.reduce((a, d) => a * (Number.isNaN(d) ? 1 : d), 1) : NaN;
}
