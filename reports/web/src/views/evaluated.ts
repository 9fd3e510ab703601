// What was evaluated? Every answer against every number, holes included.
import { h } from "../dom";
import { show } from "../format";
import type { Answer, NamedAnswer, Score, Sweep } from "../schema";
import { objectTable, tableCard } from "../table";
import { type Context, gpusOf, isStep, type View } from "../view";

const METRICS = ["step_time_s", "low_s", "high_s", "tokens_per_s", "model_tflops_per_gpu", "mfu", "hfu", "bubble_over_total", "peak_bytes", "fits", "links", "operations", "timeline"];

function row({ name, answer }: NamedAnswer): Record<string, unknown> {
  const plain = answer as unknown as Record<string, unknown>;
  const memory = isStep(answer) ? answer.memory : undefined;
  const count = (value: unknown) => (Array.isArray(value) ? value.length : undefined);
  const gpus = gpusOf(answer);
  return {
    answer: name, kind: answer.kind, model: answer.scenario?.model ?? null, gpus: Number.isNaN(gpus) ? null : gpus,
    fidelity: answer.fidelity ?? answer.provenance?.fidelity ?? null,
    ...Object.fromEntries(METRICS.slice(0, 8).map((m) => [m, typeof plain[m] === "number" ? plain[m] : null])),
    peak_bytes: memory?.peak_bytes ?? null, fits: memory?.fits ?? null,
    operations: count(plain.operations) ?? null, links: count(plain.links) ?? null,
    timeline: isStep(answer) ? (answer.timeline?.packed.rows ?? null) : null,
  };
}

function holesOfScore(name: string, answer: Score): HTMLElement | null {
  const holes = (answer.rows ?? []).filter((r) => typeof r.predicted_s !== "number" || typeof r.measured_s !== "number");
  return holes.length === 0 ? null
    : objectTable(`Which rows of ${name.slice(0, 80)} were not scored?`, holes as unknown as Record<string, unknown>[], ["id", "family", "status", "reason"]);
}

function sweepCounts(answers: NamedAnswer[]): HTMLElement | null {
  const sweeps = answers.filter((a) => a.answer.kind === "sweep");
  return sweeps.length === 0 ? null : objectTable("What did the sweeps cover?", sweeps.map(({ name, answer }) => {
    const s = answer as Sweep;
    return { answer: name, legal: s.legal ?? null, pruned: s.pruned ?? null, priced: s.priced ?? null, out_of_memory: s.out_of_memory ?? null, kept: s.results?.rows ?? null, left_out: s.results?.omitted ?? null };
  }), ["answer"]);
}

export const evaluated: View = {
  id: "evaluated",
  tab: "Coverage",
  question: "What was evaluated?",
  takes: (_: Answer) => true,
  all: true,
  render: ({ answers }: Context) => {
    const steps = answers.filter((a) => isStep(a.answer)).map(row);
    const others = answers.filter((a) => !isStep(a.answer));
    const keys = ["answer", "kind", "model", "gpus", "fidelity", ...METRICS];
    const holes = steps.reduce((sum, r) => sum + METRICS.filter((m) => r[m] === null).length, 0);
    const counted = `${show(answers.length)} ${answers.length === 1 ? "answer" : "answers"}`;
    return [
      h("p", { class: "lead" }, steps.length === 0 ? `${counted}.` : `${counted}; of ${show(steps.length)} predicted or measured ${steps.length === 1 ? "step" : "steps"} ${holes} of ${steps.length * METRICS.length} cells are empty.`),
      h("div", { class: "cards" },
        steps.length > 0 ? tableCard({
          title: "Steps and their numbers", note: "A dash is a hole: the answer has no such number.", count: steps.length,
          columns: keys.map((key) => ({ key, ...(key === "gpus" && { title: "GPUs" }) })),
          at: (i, key) => (steps[i][key] ?? null) as string | number | boolean | null,
        }) : null,
        others.length > 0 ? objectTable(steps.length > 0 ? "Other answers" : "Answers", others.map((a) => {
          const { answer, kind, model, gpus } = row(a);
          return { answer, kind, model, gpus, question: a.answer.scenario?.question || null };
        }), ["answer"], { columns: [{ key: "answer" }, { key: "kind" }, { key: "model" }, { key: "gpus", title: "GPUs" }, { key: "question" }] }) : null,
        sweepCounts(answers),
        answers.filter((a) => a.answer.kind === "score").map((a) => holesOfScore(a.name, a.answer as Score))),
    ];
  },
};
