/**
 * `npm run vendor -- FOLDER`: copy what the pages import of others, with their licences, into a folder beside them.
 *
 * Run where `npm ci` has been run. uPlot's small build is a script: the line behind it makes it a module.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILES = [
  { from: "hls.js/dist/hls.light.min.mjs", to: "hls.mjs" },
  { from: "hls.js/LICENSE", to: "hls.LICENSE" },
  { from: "uplot/dist/uPlot.iife.min.js", to: "uplot.mjs", behind: "\nexport default uPlot;\n" },
  { from: "uplot/dist/uPlot.min.css", to: "uplot.css" },
  { from: "uplot/LICENSE", to: "uplot.LICENSE" },
];

const folder = process.argv[2];
if (!folder) throw new Error("Name the folder: npm run vendor -- FOLDER");
mkdirSync(folder, { recursive: true });
for (const { from, to, behind = "" } of FILES) {
  const text = readFileSync(join("node_modules", from), "utf8").replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
  writeFileSync(join(folder, to), text + behind);
}
