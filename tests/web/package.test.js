/** The folder as npm would take it. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import test from "node:test";
import { gzipSync } from "node:zlib";

import { LiveDrop } from "./world.js";

const FOLDER = new URL("../../server/web/client/", import.meta.url);
const MOST_BYTES = 15 * 1024;
const module = await import(new URL("livedrop.js", FOLDER));
const source = await readFile(new URL("livedrop.js", FOLDER), "utf8");
const types = await readFile(new URL("livedrop.d.ts", FOLDER), "utf8");
const manifest = JSON.parse(await readFile(new URL("package.json", FOLDER), "utf8"));

test("the client is one file of less than 15 KiB compressed that imports nothing", () => {
  const size = gzipSync(source, { level: 9 }).length;
  assert.ok(size < MOST_BYTES, `${size} bytes`);
  assert.doesNotMatch(source, /^import\b|\bimport\(/m);
});

test("what the types say is exported is, and nothing else", () => {
  const declared = [...types.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(module).sort());
});

test("every member of LiveDrop has its type, and every type its member", () => {
  const body = types.slice(types.indexOf("export class LiveDrop extends EventTarget"));
  const declared = new Set([...body.matchAll(/^ {2}(?:get )?(\w+)(?:<[^(]*>)?[(:]/gm)].map(([, name]) => name));
  for (const inherited of ["constructor", "addEventListener", "removeEventListener"]) declared.delete(inherited);
  const live = new LiveDrop({ show: "sh_1", token: "t", origin: "http://shop.test" });
  const own = [...Object.getOwnPropertyNames(LiveDrop.prototype), ...Object.keys(live)];
  assert.deepEqual([...declared].sort(), own.filter((name) => name !== "constructor").sort());
});

test("the package names what there is, and depends on nothing", async () => {
  const { name, type, license, exports, files } = manifest;
  assert.deepEqual([name, type, license], ["livedrop", "module", "Apache-2.0"]);
  assert.equal(manifest.dependencies, undefined);
  const there = new Set(await readdir(FOLDER));
  const named = [...files, ...Object.values(exports).flatMap((each) => Object.values(each))];
  for (const path of named) assert.ok(there.has(path.replace(/^\.\//, "")), path);
  for (const file of there) assert.ok([...files, "package.json", "README.md"].includes(file), `${file} is not packed`);
});

test("outside of a page it says what is missing, and knows its two codecs only", () => {
  assert.throws(() => new LiveDrop({ show: "sh_1", token: "t" }), /origin/);
  assert.throws(() => new LiveDrop({ show: "sh_1", token: "t", origin: "http://shop.test", codec: "xml" }), /codec/);
});
