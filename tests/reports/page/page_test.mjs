// node page_test.mjs RENDERER WEB ISOCHRONE ROOT: the page of every kind of answer in a real browser.
import { join } from "node:path";
import { comparison, hostile, inferenceScore, network, prediction, score, sweep, write } from "./fixtures.mjs";
import { answer, check, download, equal, finish, folder, isochrone, near, open, render } from "./harness.mjs";

write(join(folder, "in"), {
  prediction: prediction(), faster: prediction({ faster: 0.88 }), data2: prediction({ data: 2, timeline: false }),
  run: prediction({ kind: "run", faster: 1.06, stages: 4, microbatches: 8 }), sweep: sweep(1800), sweep_one: sweep(1),
  sweep_none: { kind: "sweep", legal: 0, results: [], best: [] }, score: score(), score_after: score(0.04), comparison: comparison(),
  network: network(), bare: { kind: "prediction" }, bare_score: { kind: "score" }, bare_comparison: { kind: "comparison" },
  bare_network: { kind: "network" }, hostile: hostile(),
});
// What the program answers where its shape is the point, as it prints it.
const PRINTED = {
  generation: ["predict", "scenarios/inference/llama3_70b_generates_on_8_h100.json"],
  serving: ["predict", "scenarios/inference/mistral_7b_chunked_on_a100.json"],
  apart: ["predict", "scenarios/inference/opt_13b_separated_on_a100.json"],
  advise: ["advise", "scenarios/examples/shapes/gpt_14400_on_320_a100.json"],
  strong: ["sweep", "scenarios/sweeps/gpt3_175b_strong_scaling.json", "--each"],
  chosen: ["sweep", "scenarios/sweeps/sc21_table1.json", "--each"],
  contention: ["predict", "scenarios/examples/network/gpt3_on_96_whole.json", "--fidelity", "network"],
};
write(join(folder, "in"), Object.fromEntries(Object.entries(PRINTED).map(([name, words]) => [name, JSON.parse(isochrone(...words, "--json"))])));
write(join(folder, "in"), { bare_generation: { kind: "generation" }, bare_serving: { kind: "serving" }, bare_advise: { kind: "advise" }, inference_score: inferenceScore() });
const BARE = ["bare_generation", "bare_serving", "bare_advise"];
const SINGLE = [...Object.keys(PRINTED), ...BARE, "inference_score", "prediction", "run", "sweep", "sweep_one", "sweep_none", "score", "comparison", "network", "bare", "bare_score", "bare_comparison", "bare_network", "hostile"];
render({
  ...Object.fromEntries(SINGLE.map((name) => [name, [name]])),
  all: ["prediction", "faster", "data2", "run", "sweep", "score", "score_after", "comparison", "network", ...Object.keys(PRINTED)],
  nothing: [],
});

/// Every tab, one after the other: a question, something below it, no overflow.
async function walk(tab, name) {
  const count = await tab.locator("[role=tab]").count();
  for (let i = 0; i < count; i++) {
    await tab.locator("[role=tab]").nth(i).click();
    const seen = await tab.evaluate(() => ({
      selected: document.querySelector("[role=tab][aria-selected=true]")?.textContent, question: document.querySelector("main h2")?.textContent ?? "",
      cards: document.querySelectorAll("main .card").length, over: document.documentElement.scrollWidth - innerWidth,
      unnamed: [...document.querySelectorAll("button, canvas, input, select, [role=img]")].filter((e) => !(e.getAttribute("aria-label") || e.textContent || e.closest("label") || e.parentElement.closest("[role=img]"))).length,
    }));
    check(`${name}: the view ${seen.selected} asks a question and has cards`, seen.question.endsWith("?") && seen.cards > 0, seen);
    check(`${name}: the view ${seen.selected} is no wider than the window`, seen.over <= 0, seen);
    equal(`${name}: every control of ${seen.selected} has a name`, seen.unnamed, 0);
  }
}

for (const name of [...SINGLE, "all"]) {
  await open(name, { width: 1280, theme: "light" }, (tab) => walk(tab, name));
}
for (const name of ["all", "hostile", "bare", ...BARE, "sweep_one"]) await open(name, { width: 390, theme: "dark" }, (tab) => walk(tab, `${name}, narrow`));

// A real scenario, predicted and reported by the program.
const SCENARIO = "scenarios/examples/gpt3_on_64_a100.json";
isochrone("report", SCENARIO, "--out", join(folder, "real.html"));
await open("real", {}, async (tab) => {
  await walk(tab, "real");
  await tab.locator("[role=tab]").first().click();
  const wanted = JSON.parse(isochrone("predict", SCENARIO, "--json"));
  equal("the program's page shows what predict prints", await tab.locator("data[data-key=step_time_s]").evaluate((d) => Number(d.value)), wanted.step_time_s);
});

await open("nothing", {}, async (tab) => check("a report of nothing says so", (await tab.textContent("main")).includes("Nothing was evaluated")));

await open("bare", {}, async (tab) => {
  const text = await tab.textContent("main");
  check("a prediction without numbers says what it lacks", text.includes("no attribution") && text.includes("no operations") && text.includes("no memory by stage"), text);
});

// The numbers shown are the answer's.
await open("prediction", {}, async (tab) => {
  const wanted = answer("prediction");
  const shown = await tab.evaluate(() => Object.fromEntries([...document.querySelectorAll("data[data-key]")].map((d) => [d.dataset.key, [Number(d.value), d.textContent]])));
  for (const key of ["step_time_s", "tokens_per_s", "model_tflops_per_gpu", "mfu", "bubble_over_total"]) equal(`${key} is the answer's`, shown[key]?.[0], wanted[key]);
  equal("the peak memory is the answer's", shown["memory.peak_bytes"]?.[0], wanted.memory.peak_bytes);
  near("the step time reads as it is", parseFloat(shown.step_time_s[1]), wanted.step_time_s, 0.005);
  near("the peak memory reads as it is", parseFloat(shown["memory.peak_bytes"][1]), wanted.memory.peak_bytes / 2 ** 30, 0.005);
  const parts = await tab.evaluate(() => Object.fromEntries([...document.querySelectorAll("data[data-part]")].map((d) => [d.dataset.part, Number(d.value)])));
  for (const [part, value] of Object.entries(wanted.attribution_s).filter(([, v]) => v > 0)) equal(`the part ${part} is the answer's`, parts[part], value);
  await tab.locator("main tr.clickable").first().click();
  const detail = await tab.textContent(".explain");
  check("a pressed operation shows formula, inputs and source", detail.includes("2 m n k / rate") && detail.includes("k = 12288") && detail.includes("bench/gemm.csv"), detail);
  const footer = await tab.textContent(".provenance");
  check("the page says where it comes from", ["0123456789abcdef", "a100_sxm_80gb", "isochrone predict", "0.1.0"].every((w) => footer.includes(w)), footer);
  const csv = (await download(tab, tab.getByRole("button", { name: "Save the numbers of Where does the step go? as CSV" }))).bytes.toString();
  check("a chart's CSV has all digits", csv.startsWith("part,seconds,share\r\n") && csv.includes(`compute,${wanted.attribution_s.compute},`), csv);
  const png = await download(tab, tab.getByRole("button", { name: "Save What fills the memory of each stage? as PNG" }));
  check("a chart is saved as PNG", png.name.endsWith(".png") && png.bytes.subarray(1, 4).toString() === "PNG" && png.bytes.length > 5000, png.name);
  const svg = await download(tab, tab.getByRole("button", { name: "Save What fills the memory of each stage? as SVG" }));
  check("a chart is saved as SVG", svg.name.endsWith(".svg") && svg.bytes.toString().startsWith("<svg") && svg.bytes.toString().includes("capacity"), svg.name);
});

const shownOn = (tab) => tab.evaluate(() => Object.fromEntries([...document.querySelectorAll("data[data-key]")].map((d) => [d.dataset.key, Number(d.value)])));
const saved = async (tab, what) => (await download(tab, tab.getByRole("button", { name: `Save the numbers of ${what} as CSV` }))).bytes.toString().trim().split("\r\n").map((l) => l.split(","));

await open("generation", {}, async (tab) => {
  const wanted = answer("generation");
  const shown = await shownOn(tab);
  for (const key of ["ttft_s", "tpot_s", "total_s", "output_tokens_per_s", "gpu_seconds_per_request", "joules_per_output_token"]) equal(`${key} of a generation is the answer's`, shown[key], wanted[key]);
  equal("its peak memory is the answer's", shown["memory.peak_bytes"], wanted.memory.peak_bytes);
  const [head, decode] = await saved(tab, "Where does a step go?");
  equal("a decode step's parts are the answer's", head.slice(1).map((key, i) => [key, Number(decode[i + 1])]), Object.entries(wanted.decode_step).filter(([key]) => head.includes(key)));
  const [kinds, stage] = await saved(tab, "What fills the memory of each stage?");
  equal("a stage's bytes are the answer's", Number(stage[kinds.indexOf("weights_bytes")]), wanted.memory.stages[0].weights_bytes);
});

for (const name of ["serving", "apart"]) await open(name, {}, async (tab) => {
  const wanted = answer(name);
  const shown = await shownOn(tab);
  for (const key of ["requests_per_s", "goodput_requests_per_s", "utilisation", "joules_per_output_token", "output_tokens_per_s"]) equal(`${key} of ${name} is the answer's`, shown[key], wanted[key]);
  for (const key of ["ttft", "tpot", "latency"]) equal(`the median ${key} of ${name} is the answer's`, shown[`${key}.p50_s`], wanted[key].p50_s);
  const [head, ...rows] = await saved(tab, "How much power do the GPUs draw?");
  equal(`the power of ${name} over time is the answer's`, rows.map((r) => Number(r[head.indexOf("watts")])), wanted.over_time.map((m) => m.watts));
  const inside = await saved(tab, "Who is inside?");
  equal(`who is inside ${name} is the answer's`, inside.slice(1).map((r) => Number(r[inside[0].indexOf("waiting")])), wanted.over_time.map((m) => m.waiting));
});

await open("advise", {}, async (tab) => {
  const wanted = answer("advise");
  const shown = await shownOn(tab);
  equal("the model's rate is the answer's", shown["model.tflops_per_gpu"], wanted.model.tflops_per_gpu);
  equal("the best gain is the answer's", shown["best.tflops_gain_pct"], wanted.better[0].tflops_gain_pct);
  const text = await tab.textContent("main");
  check("every rule that made a gain is explained", Object.values(wanted.rules).every((meaning) => text.includes(meaning)), text);
  const lines = (await download(tab, tab.getByRole("button", { name: "Save All shapes as CSV" }))).bytes.toString().trim().split("\r\n");
  equal("the table has the model and every shape", lines.length, 2 + wanted.better.length);
});

await open("contention", { view: "network" }, async (tab) => {
  const wanted = answer("contention");
  const shown = await shownOn(tab);
  for (const key of ["contention_s", "uncontended_s", "messages", "bisection_bytes_per_s"]) equal(`${key} of the network is the answer's`, shown[`network.${key}`], wanted.network[key]);
});

await open("strong", { view: "scaling" }, async (tab) => {
  const [, ...rows] = await saved(tab, "How fast is it on more GPUs?"); // the name of the series holds a comma
  equal("a sweep of clusters scales as it says", rows.map((r) => r.slice(-2).map(Number)), answer("strong").each.map((one) => [one.best.gpus, one.best.tokens_per_s]));
});
await open("chosen", {}, async (tab) => {
  equal("models of different sizes are no scaling", await tab.locator("#tab-scaling").count(), 0);
  check("what was chosen is held against the best", (await tab.textContent("main")).includes("slower than the best, on average"));
});

await open("inference_score", { view: "accuracy" }, async (tab) => {
  const errors = answer("inference_score").rows.map((r) => Math.abs(r.predicted_s / r.measured_s - 1) * 100);
  near("the mean error of generations is that of the rows", await tab.locator("data[data-key=mape]").evaluate((d) => Number(d.value)), errors.reduce((a, b) => a + b, 0) / errors.length, 1e-9);
});

// The operations of a comparison: told apart by their pass, and what they cost a step.
await open("comparison", {}, async (tab) => {
  const wanted = answer("comparison");
  const [head, ...rows] = await saved(tab, "Where does the difference come from?");
  const both = wanted.operations.filter((o) => o.predicted_s !== null);
  for (const row of rows) {
    const of = both.find((o) => row[0] === `${o.name} · ${o.phase}`);
    near(`the difference of ${row[0]} is of all its calls`, Number(row[head.indexOf("difference_in_step_s")]), of.count * (of.predicted_s - of.measured_s), 1e-9);
  }
});

await open("run", { view: "timeline" }, async (tab) => {
  const step = answer("run");
  const end = Math.max(...step.timeline.spans.map((s) => s[6] + s[7]));
  const ranks = step.timeline.rank_count;
  const busy = step.timeline.spans.filter((s) => s[1] === "compute").reduce((sum, s) => sum + s[7], 0);
  const said = Number(/idle ([\d.]+)%/.exec(await tab.textContent(".lead"))[1]);
  near("the idle share is that of the spans", said, 100 * (1 - busy / (ranks * end)), 0.01);
});

// The timeline: zoom by button, key and wheel; press a span; save a trace.
await open("prediction", { view: "timeline" }, async (tab) => {
  const canvas = tab.locator("canvas.gantt");
  const window = async () => {
    await tab.waitForTimeout(120);
    return canvas.evaluate((c) => [Number(c.dataset.from), Number(c.dataset.to)]);
  };
  const length = ([from, to]) => to - from;
  const whole = length(await window());
  await tab.getByRole("button", { name: "Zoom in" }).click();
  near("the button halves the window", length(await window()), whole / 2, 1e-6);
  await canvas.focus();
  await tab.keyboard.press("+");
  near("the key halves it again", length(await window()), whole / 4, 1e-6);
  await tab.keyboard.press("ArrowRight");
  near("an arrow keeps its length", length(await window()), whole / 4, 1e-6);
  await tab.keyboard.press("0");
  const box = await canvas.boundingBox();
  await tab.mouse.move(box.x + box.width / 2, box.y + 20);
  await tab.mouse.wheel(0, -200);
  check("the wheel zooms the chart in use", length(await window()) < whole * 0.9);
  await tab.keyboard.press("0");
  await tab.mouse.click(box.x + box.width / 2, box.y + 10);
  const detail = await tab.textContent(".detail");
  check("a pressed span names its pass, rank and operations", /(forward|backward), microbatch \d+ on rank 0/.test(detail) && detail.includes("mlp_up"), detail);
  await tab.getByRole("button", { name: "Zoom to it" }).click();
  check("a span fills the window", length(await window()) < whole / 20);
  await tab.mouse.move(box.x + box.width / 2, box.y + 12);
  const tip = await tab.textContent(".gantt-tip");
  check("hovering shows formula and source", tip.includes("max(2 m n k") && tip.includes("bench/gemm.csv"), tip);
  const trace = JSON.parse((await download(tab, tab.getByRole("button", { name: "Save a trace for Perfetto (ui.perfetto.dev)" }))).bytes.toString());
  equal("the trace has every span", trace.traceEvents.filter((e) => e.ph === "X").length, answer("prediction").timeline.spans.length);
  const profile = JSON.parse((await download(tab, tab.getByRole("button", { name: "Save a profile for speedscope" }))).bytes.toString());
  check("the profile opens and closes every span", profile.profiles.every((p) => p.events.filter((e) => e.type === "O").length === p.events.filter((e) => e.type === "C").length));
});

// The sweep: filter the table, the charts follow, the CSV holds what is left.
await open("sweep", { view: "sweep" }, async (tab) => {
  const wanted = answer("sweep").results.filter((r) => r.tensor === 8 && r.step_time_s < 15);
  await tab.getByRole("searchbox", { name: "Filter All configurations" }).fill("tensor=8 step_time_s<15");
  await tab.waitForTimeout(400);
  equal("the filter counts what it leaves", await tab.textContent(".filter-line .note"), `${wanted.length} of 1,800 rows`);
  const lines = (await download(tab, tab.getByRole("button", { name: "Save All configurations as CSV" }))).bytes.toString().trim().split("\r\n");
  equal("the CSV has the rows that are left", lines.length - 1, wanted.length);
  const column = lines[0].split(",").indexOf("step_time_s");
  equal("with the answer's numbers", lines.slice(1).map((l) => Number(l.split(",")[column])).sort((a, b) => a - b), wanted.map((r) => r.step_time_s).sort((a, b) => a - b));
  const best = Math.min(...answer("sweep").results.filter((r) => r.fits).map((r) => r.step_time_s));
  equal("the best is the answer's", await tab.locator("data[data-key='best.step_time_s']").evaluate((d) => Number(d.value)), best);
  await tab.getByRole("button", { name: "step time" }).click();
  equal("a press on a head sorts the other way", await tab.locator("th[aria-sort]").getAttribute("aria-sort"), "descending");
});

await open("score", { view: "accuracy" }, async (tab) => {
  const held = answer("score").rows.filter((r) => r.role !== "fit" && r.predicted_s !== null).map((r) => Math.abs(r.predicted_s / r.measured_s - 1) * 100);
  near("the mean error is that of the held-out rows", await tab.locator("data[data-key=mape]").evaluate((d) => Number(d.value)), held.reduce((a, b) => a + b, 0) / held.length, 1e-9);
});

await open("all", { view: "difference" }, async (tab) => {
  await tab.locator("select").nth(0).selectOption({ label: "score.json (score)" });
  await tab.locator("select").nth(1).selectOption({ label: "score_after.json (score)" });
  check("two scores show the rows that moved", (await tab.textContent("main")).includes("Which rows moved?"));
});

// Colours and the keyboard.
await open("all", {}, async (tab) => {
  await tab.locator("[role=tab]").first().focus();
  await tab.keyboard.press("ArrowRight");
  equal("an arrow moves to the next tab", await tab.evaluate(() => document.activeElement.id), "tab-timeline");
  await tab.keyboard.press("End");
  equal("End moves to the last", await tab.textContent("[role=tab][aria-selected=true]"), "Coverage");
  const ground = () => tab.evaluate(() => [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]);
  const light = await ground();
  await tab.locator("#theme").click();
  const dark = await ground();
  check("the button changes the colours", light[0] === "light" && dark[0] === "dark" && light[1] !== dark[1], { light, dark });
  await tab.emulateMedia({ media: "print" });
  equal("print shows no buttons", await tab.locator(".actions:visible, .tool:visible").count(), 0);
});

// Hostile names are text and run nothing.
await open("hostile", {}, async (tab) => {
  const question = answer("hostile").scenario.question;
  check("the title shows the question as text", (await tab.textContent("h1")) === question, await tab.textContent("h1"));
  check("no name ran", !(await tab.title()).includes("broken") || (await tab.title()).startsWith('"quotes"'), await tab.title());
  equal("no name became an element", await tab.evaluate(() => [document.images.length, document.scripts.length]), [0, 2]);
  await tab.locator("[role=tab]").nth(1).click();
  const box = await tab.locator("canvas.gantt").boundingBox();
  for (let x = 80; x < box.width; x += 60) await tab.mouse.move(box.x + x, box.y + 15);
  equal("hovering made no element of a name", await tab.evaluate(() => document.images.length), 0);
});

await finish();
