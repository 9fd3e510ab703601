// node types.mjs WEB: the TypeScript compiler over the page's sources.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const web = process.argv[2];
const compiler = join(web, "node_modules/typescript/bin/tsc");
if (!existsSync(compiler)) {
  console.log("skipped: no TypeScript compiler (npm ci in reports/web)");
  process.exit(77);
}
process.exit(spawnSync(process.execPath, [compiler, "--noEmit", "-p", web], { stdio: "inherit" }).status ?? 1);
