import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { onceForAll, takeUnits, unlessTaken } from "../../../cli/shards/unitLock.ts";
import { exists } from "../../../cli/exists.ts";

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-units-"));
});
after(() => rm(root, { recursive: true }));

const unsaid = (line: string): never => {
  throw new Error(line);
};
const folder = (): Promise<string> => mkdtemp(join(root, "shared-"));

describe("a unit of shared work", () => {
  it("is done by one of those that want it; the others are told whose it is", async () => {
    const place = await folder();
    const file = join(place, "deeper", "unit.json");
    const lines: string[] = [];
    let finish = (): void => undefined;
    const first = unlessTaken(file, unsaid, () => new Promise<string>((resolve) => (finish = () => resolve("done"))));
    while ((await readdir(join(place, "deeper")).catch(() => [])).length === 0) await new Promise(setImmediate);
    const second = await unlessTaken(
      file,
      (line) => lines.push(line),
      async () => Promise.reject(new Error("twice")),
    );
    assert.equal(second, null);
    assert.deepEqual(lines, [`${file}: left to process ${process.pid}, which is at it`]);
    finish();
    assert.equal(await first, "done");
    assert.equal(await unlessTaken(file, unsaid, async () => "again"), "again");
    assert.deepEqual(await readdir(join(place, "deeper")), []);
  });

  it("is free again after a failure", async () => {
    const file = join(await folder(), "unit");
    const failing = unlessTaken(file, unsaid, () => Promise.reject(new Error("no")));
    await assert.rejects(failing, { message: "no" });
    assert.equal(await unlessTaken(file, unsaid, async () => 1), 1);
  });

  it("may be several, of which those are taken that are free", async () => {
    const place = await folder();
    const files = ["a", "b", "c"].map((name) => join(place, name));
    const first = await takeUnits(files.slice(1, 2), unsaid);
    const lines: string[] = [];
    const second = await takeUnits(files, (line) => lines.push(line));
    assert.deepEqual([first.indices, second.indices], [[0], [0, 2]]);
    assert.match(lines.join("\n"), /b: left to process \d+/);
    first.release();
    second.release();
    assert.deepEqual(await readdir(place), []);
  });
});

describe("what everybody needs", () => {
  it("is made once, and the others wait for it", async () => {
    const file = join(await folder(), "classifier");
    let made = 0;
    const lines: string[] = [];
    const need = (): Promise<void> =>
      onceForAll(
        file,
        () => exists(file),
        (line) => lines.push(line),
        async () => {
          made += 1;
          // Long enough for the others to come.
          await new Promise((resolve) => setTimeout(resolve, 50));
          await writeFile(file, String(made));
        },
      );
    await Promise.all([need(), need(), need()]);
    assert.equal(made, 1);
    assert.equal(await readFile(file, "utf8"), "1");
    assert.equal(lines.length, 2, "each that waits says so once");
    assert.match(lines[0] ?? "", /classifier: waiting for process \d+, which makes it/);
  });

  it("is made by the next if it fails", async () => {
    const file = join(await folder(), "classifier");
    const isThere = (): Promise<boolean> => exists(file);
    await assert.rejects(
      onceForAll(file, isThere, unsaid, () => Promise.reject(new Error("no"))),
      { message: "no" },
    );
    await onceForAll(file, isThere, unsaid, () => writeFile(file, "made"));
    assert.equal(await readFile(file, "utf8"), "made");
  });
});
