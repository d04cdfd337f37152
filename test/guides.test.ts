/** The guides: what their programs print, where their links lead, and that files and names that they speak of are there. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import * as comparison from "../diffusion/comparison/index.ts";
import * as diffusion from "../diffusion/index.ts";
import * as engine from "../engine/index.ts";
import * as io from "../engine/io/index.ts";
import * as nn from "../nn/index.ts";
import * as onnx from "../onnx/index.ts";
import * as torch from "../torch/index.ts";
import { isAsTold, programsOf, runTextProgram } from "./support/textPrograms.ts";

const root = path.resolve(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

const rooms = {
  "evenkeel/engine": engine,
  "evenkeel/engine/io": io,
  "evenkeel/nn": nn,
  "evenkeel/onnx": onnx,
  "evenkeel/torch": torch,
  "evenkeel/diffusion": diffusion,
  "evenkeel/diffusion/comparison": comparison,
};

const guides = readdirSync(path.join(root, "docs"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".md"))
  .map((name) => path.posix.join("docs", name));
const texts = [...guides, "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "AGENTS.md", "llms.txt"];

/** The anchors of a text's headings, as renderers of Markdown make them. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );

describe("guides", () => {
  // What that of laws prints stands below its programs: `verifyingDocs.test.ts`.
  for (const guide of guides.filter((name) => name !== "docs/verifying.md")) {
    for (const program of programsOf(guide, read(guide))) {
      it(`${program.place} prints what it says`, () => runTextProgram(program, rooms));
    }
  }

  it("would be told apart from what prints something else", async () => {
    const code = (said: string): string => `console.log(1 / 3, [1, 2]); // ${said}`;
    await runTextProgram({ place: "right", code: code("0.333 [ 1, 2 ]") }, rooms);
    for (const said of ["0.334 [ 1, 2 ]", "0.333 [ 1, 2, 3 ]", "0.333 [ 1, 3 ]", "0.333"]) {
      await assert.rejects(runTextProgram({ place: "wrong", code: code(said) }, rooms), said);
    }
    assert.ok(isAsTold("2", "1.9999999") && !isAsTold("2", "1.999"));
  });

  for (const file of texts) {
    it(`${file} links to what is there`, () => {
      const text = read(file);
      for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        const [name = "", anchor] = target.split("#");
        const place = name === "" ? file : path.posix.join(path.posix.dirname(file), name);
        assert.ok(existsSync(path.join(root, place)), `${target}: there is no ${place}`);
        if (anchor !== undefined) assert.ok(anchorsOf(read(place)).includes(anchor), `${target}: no such heading`);
      }
    });
  }

  it("name files that are there", () => {
    for (const guide of guides) {
      for (const [, file = ""] of read(guide).matchAll(
        /`((?:engine|nn|onnx|torch|testing|diffusion|cli|web|test|bench|examples)\/[\w./-]+)`/g,
      )) {
        assert.ok(existsSync(path.join(root, file)), `${guide}: ${file}`);
      }
    }
  });

  it("have all of the paper's pieces where docs/paper.md says", () => {
    const rows = [...read("docs/paper.md").matchAll(/`([\w/]+\.ts)`: ((?:`\w+`(?:, )?)+)/g)];
    assert.ok(rows.length > 25, `${rows.length}`);
    for (const [, file = "", names = ""] of rows) {
      const text = read(file);
      for (const [, name = ""] of names.matchAll(/`(\w+)`/g)) {
        assert.match(
          text,
          new RegExp(`^export (async )?(function\\*?|const|class) ${name}\\b`, "m"),
          `${file}: ${name}`,
        );
      }
    }
  });
});
