// node pictures.mjs ISOCHRONE WEB ROOT FOLDER: the pictures of README.md, from reports of the examples as they are today.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [program, web, root, out] = process.argv.slice(2);
const { chromium } = createRequire(join(web, "package.json"))("playwright-core");
const PICTURES = [
  { name: "report-overview", view: "overview", theme: "light", width: 1280, height: 1010 },
  { name: "report-timeline", view: "timeline", theme: "dark", width: 1280, height: 760 },
  { name: "report-memory", view: "memory", theme: "light", width: 1280, height: 720 },
];

const folder = mkdtempSync(join(tmpdir(), "isochrone-pictures-"));
mkdirSync(out, { recursive: true });
execFileSync(program, ["report", "scenarios/examples/gpt3_on_64_a100.json", "--out", join(folder, "report.html")], { cwd: root });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
for (const { name, view, theme, width, height } of PICTURES) {
  const tab = await browser.newPage({ viewport: { width, height }, colorScheme: theme });
  await tab.goto(`${pathToFileURL(join(folder, "report.html"))}#${view}/0`);
  await tab.waitForFunction(() => document.documentElement.dataset.ready === "true");
  await tab.waitForTimeout(500); // charts draw once they have a size
  await tab.screenshot({ path: join(out, `${name}.png`) });
  await tab.close();
}
await browser.close();
rmSync(folder, { recursive: true, force: true });
