// What the tests of the page share: rendering, a browser, checks that name themselves.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const SKIPPED = 77;

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(SKIPPED);
}

const [renderer, web, program, root] = process.argv.slice(2);
const require = createRequire(join(web, "package.json"));
let chromium;
try {
  ({ chromium } = require("playwright-core"));
} catch {
  skip("no playwright-core (npm ci in reports/web)");
}
const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => path && existsSync(path));
if (!executablePath) skip("no Chromium (Debian: apt-get install chromium)");

export const folder = mkdtempSync(join(tmpdir(), "isochrone-page-"));
mkdirSync(join(folder, "in"));

/// Renders pages: { page: [answer, …] } with the answers' names in the folder `in`.
export function render(pages) {
  const list = join(folder, "list");
  writeFileSync(list, Object.entries(pages).map(([page, answers]) => [join(folder, `${page}.html`), ...answers.map((a) => join(folder, "in", `${a}.json`))].join(" ")).join("\n"));
  execFileSync(renderer, ["[.render]"], { env: { ...process.env, ISO_RENDER: list }, stdio: ["ignore", "ignore", "inherit"] });
  if (readFileSync(join(folder, `${Object.keys(pages)[0]}.html`), "utf8").length < 100_000) skip("this build has no page");
}

/// What `isochrone ARGUMENTS` prints, run in the root of the project.
export const isochrone = (...words) => execFileSync(program, words, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });

export const answer = (name) => JSON.parse(readFileSync(join(folder, "in", `${name}.json`), "utf8"));
export const sizeOf = (page) => readFileSync(join(folder, `${page}.html`)).length;

let failures = 0;
let checks = 0;

export function check(what, holds, seen = "") {
  checks++;
  if (holds) return;
  failures++;
  console.log(`FAILED: ${what}${seen === "" ? "" : `\n  saw ${typeof seen === "string" ? seen : JSON.stringify(seen)}`}`);
}

export const equal = (what, seen, wanted) => check(what, JSON.stringify(seen) === JSON.stringify(wanted), { seen, wanted });

export const near = (what, seen, wanted, tolerance) => check(what, Math.abs(seen - wanted) <= tolerance * Math.abs(wanted), { seen, wanted });

const browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"] });

/// Opens a page, watches its console, and closes it after `use`.
export async function open(page, { width = 1280, theme = "light", view = "" } = {}, use = async () => {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme, acceptDownloads: true });
  const tab = await context.newPage();
  const said = [];
  tab.on("console", (m) => m.type() === "error" && said.push(m.text()));
  tab.on("pageerror", (e) => said.push(String(e)));
  tab.on("dialog", (d) => { said.push(`dialog ${d.message()}`); d.dismiss(); });
  tab.on("request", (r) => !/^(file|data|blob):/.test(r.url()) && said.push(`asked for ${r.url()}`));
  await tab.goto(`${pathToFileURL(join(folder, `${page}.html`))}${view ? `#${view}/0` : ""}`);
  await tab.waitForFunction(() => document.documentElement.dataset.ready === "true", null, { timeout: 60_000 });
  await use(tab);
  equal(`${page} at ${width}, ${theme}: no word on the console, nothing fetched`, said, []);
  await context.close();
}

/// The text that a press of `button` saves.
export async function download(tab, button) {
  const [file] = await Promise.all([tab.waitForEvent("download"), button.click()]);
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

export async function finish() {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
  console.log(`${checks - failures} passed, ${failures} failed`);
  process.exit(failures > 0 ? 1 : 0);
}
