/**
 * `npm run vendor -- FOLDER`: copy what the pages import of others, with their licences, into a folder beside them.
 *
 * Run where `npm ci` has been run. uPlot's small build is a script: the line behind it makes it a module. Of the hashes
 * there is what SHA-256 is made of; its files are called `.mjs` here, also by one another.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const FILES = [
  { from: "hls.js/dist/hls.light.min.mjs", to: "hls.mjs" },
  { from: "hls.js/LICENSE", to: "hls.LICENSE" },
  { from: "uplot/dist/uPlot.iife.min.js", to: "uplot.mjs", behind: "\nexport default uPlot;\n" },
  { from: "uplot/dist/uPlot.min.css", to: "uplot.css" },
  { from: "uplot/LICENSE", to: "uplot.LICENSE" },
  ...["sha2", "_md", "_u64", "utils"].map((name) => ({ from: `@noble/hashes/${name}.js`, to: `noble/${name}.mjs` })),
  { from: "@noble/hashes/LICENSE", to: "noble/LICENSE" },
];
const MAP = /\n\/\/# sourceMappingURL=.*\s*$/;
const NEIGHBOUR = /^(import .* from "\.\/\w+)\.js";$/gm;

const folder = process.argv[2];
if (!folder) throw new Error("Name the folder: npm run vendor -- FOLDER");
for (const { from, to, behind = "" } of FILES) {
  const text = readFileSync(join("node_modules", from), "utf8").replace(MAP, "\n").replace(NEIGHBOUR, '$1.mjs";');
  mkdirSync(dirname(join(folder, to)), { recursive: true });
  writeFileSync(join(folder, to), text + behind);
}
