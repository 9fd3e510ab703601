// node units_test.mjs WEB: the page's arithmetic without a browser. Its modules are bundled as they are and imported.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const web = process.argv[2];
if (!existsSync(join(web, "node_modules/esbuild"))) {
  console.log("skipped: no esbuild (npm ci in reports/web)");
  process.exit(77);
}
const esbuild = createRequire(join(web, "package.json"))("esbuild");
const MODULES = ["columns", "format", "gantt/critical", "gantt/spans", "sweep/data", "table", "views/scaling"];
const done = await esbuild.build({
  stdin: { contents: MODULES.map((m) => `export * from "./src/${m}";`).join("\n"), resolveDir: web },
  bundle: true, write: false, format: "esm", logLevel: "warning", external: ["echarts/*"], target: "node18",
  // The modules ask for these when they are loaded; none of what is tested here draws.
  banner: { js: "globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });" },
  plugins: [{ name: "no charts", setup: (build) => build.onLoad({ filter: /src\/chart\.ts$/ }, () => ({ contents: "export const chartCard = 0, tip = 0;" })) }],
});
const page = await import(`data:text/javascript;base64,${Buffer.from(done.outputFiles[0].text).toString("base64")}`);

let failed = 0;
let passed = 0;
function equal(what, seen, wanted) {
  if (JSON.stringify(seen) === JSON.stringify(wanted)) return passed++;
  failed++;
  console.log(`FAILED: ${what}\n  saw    ${JSON.stringify(seen)}\n  wanted ${JSON.stringify(wanted)}`);
}

// Numbers read as those of base/text.h on a terminal.
equal("seconds", [0, 8.5e-7, 0.0123, 0.9996, 18.13, 125, 11220, 180000, -0.5].map(page.seconds),
  ["0 s", "850 ns", "12.3 ms", "1.00 s", "18.1 s", "2 min 05 s", "3 h 07 min", "2 d 02 h", "-500 ms"]);
equal("bytes", [0, 512, 79.2 * 2 ** 30, 3 * 2 ** 40].map(page.bytes), ["0 B", "512 B", "79.2 GiB", "3.00 TiB"]);
equal("plain numbers", [0.0512, 1.5, 79.2, 312, 1536, 0].map(page.threeDigits), ["0.0512", "1.50", "79.2", "312", "1,536", "0"]);
equal("ticks lose their trailing zeros and nothing else", ["5.00 s", "10.0 s", "100 s", "0.50 ms", "2.5 s"].map(page.tick), ["5 s", "10 s", "100 s", "0.5 ms", "2.5 s"]);
equal("a key as words", ["step_time_s", "tokens_per_s", "mfu", "memory_bytes"].map(page.words), ["step time", "tokens per second", "MFU", "memory"]);
equal("a name is cut between letters, not inside one", page.shortened("ab😀cd", 4), "ab😀…");
equal("CSV quotes what it must and defuses formulas", page.csv(["a", "b"], [["x,\"y\"", -1.5], ["=1+1", null]]), "a,b\r\n\"x,\"\"y\"\"\",-1.5\r\n'=1+1,\r\n");

// Columns: times beyond 2^32 nanoseconds, steps back, a dictionary of one.
const zigzag = (values) => {
  const bytes = [];
  for (const value of values) {
    let bits = value >= 0n ? value * 2n : -value * 2n - 1n;
    for (; bits >= 128n; bits /= 128n) bytes.push(Number(bits % 128n) | 128);
    bytes.push(Number(bits));
  }
  return Buffer.from(bytes).toString("base64");
};
equal("steps of nanoseconds add up", Array.from(page.numbersOf({ varint: 1e-9, delta: true, data: zigzag([5_000_000_000_000n, 1n, -5_000_000_000_001n]) }, 3)), [5000, 5000.000000001, 0]);
equal("a dictionary of one needs no data", Array.from({ length: 2 }, (_, i) => page.readerOf({ dictionary: ["x"], bits: 0 })(i)), ["x", "x"]);
equal("a 32-bit number shows no digits that it never had", page.readerOf({ float: 32, data: Buffer.from(new Float32Array([0.1]).buffer).toString("base64") })(0), 0.1);

// The filter of tables.
const rows = [{ tensor: 8, schedule: "1f1b", step_time_s: 1.5 }, { tensor: 4, schedule: "zb_h1", step_time_s: 2.5 }, { tensor: 8, schedule: "zb_h1", step_time_s: null }];
const spec = { columns: ["tensor", "schedule", "step_time_s"].map((key) => ({ key })), at: (row, key) => rows[row][key] };
const kept = (text) => [0, 1, 2].filter(page.parseFilter(text, spec));
equal("no filter keeps all", kept("  "), [0, 1, 2]);
equal("a condition", kept("tensor=8"), [0, 2]);
equal("conditions and words hold together", kept("tensor=8 ZB"), [2]);
equal("a comparison leaves out what has no number", kept("step_time_s<2"), [0]);
equal("not", kept("schedule!=zb_h1"), [0]);
equal("an unknown key is a word", kept("color=red"), []);

// The Pareto front: nothing else is better in both.
equal("front", page.paretoFront([0, 1, 2, 3, 4], [3, 1, 2, 2, NaN], [1, 5, 3, 2, 0]), [1, 3, 0]);

// The chain that the end hangs on, of 1F1B with 2 stages and 2 microbatches, messages of 1:
//   rank 0  F0 F1 .  .  B0 .  B1        rank 1  .  .  F0 B0 F1 B1
const PLAYED = [
  [0, "compute", "forward", 0, 0, 2], [0, "compute", "forward", 1, 2, 2], [0, "compute", "backward", 0, 10, 4], [0, "compute", "backward", 1, 16, 4],
  [0, "pipeline", "forward", 0, 2, 1], [0, "pipeline", "forward", 1, 4, 1],
  [1, "compute", "forward", 0, 3, 2], [1, "compute", "backward", 0, 5, 4], [1, "compute", "forward", 1, 9, 2], [1, "compute", "backward", 1, 11, 4],
  [1, "pipeline", "backward", 0, 9, 1], [1, "pipeline", "backward", 1, 15, 1],
];
const column = (i) => ({ values: PLAYED.map((span) => span[i]) });
const spans = new page.Spans({ packed: { rows: PLAYED.length, omitted: 0, columns: {
  rank: column(0), stream: column(1), phase: column(2), microbatch: column(3), start_s: column(4), duration_s: column(5),
  kind: { values: PLAYED.map((span) => (span[1] === "compute" ? "task" : "message")) }, chunk: { values: PLAYED.map(() => 0) },
} } });
equal("the critical path", page.chain(spans).map((s) => `${s.rank} ${s.stream} ${s.phase} ${s.microbatch}`), [
  "0 compute forward 0", "0 pipeline forward 0", "1 compute forward 0", "1 compute backward 0", "1 compute forward 1", "1 compute backward 1", "1 pipeline backward 1", "0 compute backward 1"]);
equal("busy time of each rank", spans.busy().map((b) => [b.rank, b.busy, b.first, b.last]), [[0, 12, 0, 20], [1, 12, 3, 15]]);
equal("the span at a time, and none in a bubble", [spans.at(spans.lanes[0], 3), spans.at(spans.lanes[0], 5)], [1, -1]);

// Scaling: strong and weak series of the fastest per size.
const at = (gpus, sequences, step) => ({ name: `${gpus}`, answer: { kind: "prediction", step_time_s: step, tokens_per_s: sequences / step, scenario: { model: "m", gpus, sequences } } });
const series = page.seriesOf([at(8, 64, 8), at(16, 64, 5), at(16, 64, 6), at(16, 128, 8.5)]);
equal("series", series.map((s) => [s.form, s.points.map((p) => [p.gpus, p.step])]), [["strong", [[8, 8], [16, 5]]], ["weak", [[8, 8], [16, 8.5]]]]);

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
