import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { WorkProgress } from "../../cli/workProgress.ts";

/** What is written while `steps` pieces of work take `milliseconds` each. */
function written(isTTY: boolean, steps: number, milliseconds: number, total: number | null): string[] {
  let time = 0;
  const texts: string[] = [];
  const stream = { isTTY, columns: 40, write: (text: string) => texts.push(text) };
  const progress = new WorkProgress(stream, () => time);
  for (let done = 1; done <= steps; done++) {
    time += milliseconds;
    progress.at("reading photos", done, total);
  }
  progress.end();
  return texts;
}

describe("progress of work", () => {
  it("says nothing for two seconds", () => {
    for (const isTTY of [true, false]) assert.deepEqual(written(isTTY, 199, 10, 199), []);
  });

  it("is a line at two seconds and then every ten, where lines stay", () => {
    assert.deepEqual(written(false, 2500, 10, 2500), [
      "reading photos: 200 of 2,500, 23 s left\n",
      "reading photos: 1,200 of 2,500, 13 s left\n",
      "reading photos: 2,200 of 2,500, 3 s left\n",
    ]);
    assert.deepEqual(written(false, 300, 10, null), ["reading photos: 200\n"]);
  });

  it("is one line on a terminal, drawn five times a second, no wider, and taken away", () => {
    const texts = written(true, 300, 10, 1_000_000);
    assert.equal(texts.length, 7);
    for (const text of texts.slice(0, -1)) {
      assert.ok(text.startsWith("\r\u001b[K"));
      assert.match(text.slice(4), /^reading photos: [23]\d\d of 1,000,000, ./);
    }
    assert.ok(texts.every((text) => text.length <= 39 + 4));
    assert.equal(texts.at(-1), "\r\u001b[K");
  });

  it("is whole on a terminal that says it has no columns", () => {
    const texts: string[] = [];
    const stream = { isTTY: true, columns: 0, write: (text: string) => texts.push(text) };
    let time = 0;
    const progress = new WorkProgress(stream, () => time);
    progress.at("reading", 0, 4);
    time = 4000;
    progress.at("reading", 2, 4);
    progress.end();
    assert.deepEqual(texts, ["\r\u001b[Kreading: 2 of 4, 4 s left", "\r\u001b[K"]);
  });

  it("is said of one long piece, too, while nothing is told, and of what is left after a pause", async () => {
    const texts: string[] = [];
    let time = 0;
    const progress = new WorkProgress({ isTTY: false, write: (text: string) => texts.push(text) }, () => time);
    progress.at("reading net.safetensors", 0, null);
    time = 3000;
    await setTimeout(700);
    progress.pause();
    progress.at("evaluations", 0, 4);
    time = 14_000;
    await setTimeout(700);
    progress.end();
    time = 60_000;
    await setTimeout(600);
    assert.deepEqual(texts, ["reading net.safetensors: 3 s so far\n", "evaluations: 0 of 4, 11 s so far\n"]);
  });
});
