import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, it } from "node:test";

const root = resolve(import.meta.dirname, "..");
const longestSource = 500;

const trackedFiles = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" })
  .split("\0")
  .filter((path) => path !== "" && existsSync(resolve(root, path)));

function text(path: string): string {
  return readFileSync(resolve(root, path), "utf8");
}

/** Reads a value out of parsed JSON by its keys. */
function valueAt(json: unknown, ...keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null
        ? Object.entries(value).find(([name]) => name === key)?.[1]
        : undefined,
    json,
  );
}

describe("repository", () => {
  it("tracks the files that these tests are about", () => {
    for (const path of ["package.json", "package-lock.json", "engine/index.ts", "test/repository.test.ts"]) {
      assert.ok(trackedFiles.includes(path), `${path} is not tracked`);
    }
  });

  it(`has no source file of more than ${longestSource} lines`, () => {
    const tooLong = trackedFiles
      .filter((path) => /\.[cm]?[jt]sx?$/.test(path))
      .map((path) => ({ path, lines: text(path).trimEnd().split("\n").length }))
      .filter(({ lines }) => lines > longestSource);
    assert.deepEqual(tooLong, []);
  });

  it("names no path of the machine it was made on", () => {
    // In pieces, so that this file doesn't name one either.
    const machinePath = new RegExp(["/wor", "k/|/roo", "t/|/hom", "e/[a-z]"].join(""));
    const naming = trackedFiles.filter((path) => machinePath.test(text(path)));
    assert.deepEqual(naming, []);
  });

  it("writes commands as they can be pasted: nobody has `evenkeel` itself on the path", () => {
    const commands = trackedFiles.flatMap((path) => /^cli\/commands\/(?!index)(\w+)\.ts$/.exec(path)?.[1] ?? []);
    assert.ok(commands.includes("train"), commands.join());
    const bare = new RegExp(`(?<!npx )\\bevenkeel (${commands.join("|")})\\b`);
    const isComment = /^\s*(\*|\/\*|\/\/)/;
    const found = trackedFiles
      .filter((path) => /^(engine|nn|diffusion|cli|docs|README\.md)/.test(path) && /\.(ts|md)$/.test(path))
      .flatMap((path) =>
        text(path)
          .split("\n")
          .map((line, i) => ({ place: `${path}:${i + 1}`, line })),
      )
      .filter(({ line }) => bare.test(line) && !isComment.test(line));
    assert.deepEqual(found, []);
  });

  it("pins gpu.js, whose internals the engine uses, to exactly 2.24.1", () => {
    assert.equal(valueAt(JSON.parse(text("package.json")), "devDependencies", "gpu.js"), "2.24.1");
    const lock: unknown = JSON.parse(text("package-lock.json"));
    assert.equal(valueAt(lock, "packages", "node_modules/gpu.js", "version"), "2.24.1");
  });

  it("takes every package from the public registry, with a checksum", () => {
    const packages = valueAt(JSON.parse(text("package-lock.json")), "packages");
    assert.ok(typeof packages === "object" && packages !== null);
    const entries = Object.entries(packages).filter(([path]) => path !== "");
    assert.ok(entries.length > 100, `only ${entries.length} packages are locked`);
    for (const [path, entry] of entries) {
      const source = valueAt(entry, "resolved") ?? "https://registry.npmjs.org/";
      const checksum = valueAt(entry, "integrity");
      assert.ok(typeof source === "string" && source.startsWith("https://registry.npmjs.org/"), path);
      assert.ok(typeof checksum === "string" && checksum.startsWith("sha512-"), path);
    }
  });
});
