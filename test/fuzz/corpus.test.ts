import assert from "node:assert/strict";
import { openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EvenkeelError } from "../../engine/index.ts";
import { knowsPeakMemory } from "../support/peakMemory.ts";
import { attempt, limits } from "./attempt.ts";
import { caseOf } from "./cases.ts";
import { shrink } from "./shrink.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets/index.ts";

/** Damaged files of each reader, of a seed that the longer runs don't have. */
const files = 25;

describe("readers of files", () => {
  for (const target of targets) {
    it(`read or refuse damaged files in words: ${target.name}`, async () => {
      const samples = await target.samples();
      for (const sample of samples) assert.equal(await attempt(target, sample), "read");
      const outcomes = { read: 0, refused: 0 };
      for (let number = 0; number < files; number++) {
        const outcome = await attempt(target, caseOf(target, samples, 77, number));
        assert.ok(outcome === "read" || outcome === "refused", `file ${number}: ${JSON.stringify(outcome)}`);
        outcomes[outcome]++;
      }
      assert.ok(outcomes.read > 0 && outcomes.refused > 0, JSON.stringify(outcomes));
    });
  }

  it("read or refuse what once was a finding", async () => {
    const folder = join(import.meta.dirname, "corpus");
    for (const name of readdirSync(folder)) {
      const target = targets.find((each) => name.startsWith(`${each.name}-`));
      assert.ok(target !== undefined, `${name} names no reader`);
      const outcome = await attempt(target, new Uint8Array(readFileSync(join(folder, name))));
      assert.ok(typeof outcome === "string", `${name}: ${JSON.stringify(outcome)}`);
    }
  });
});

describe("the harness", { skip: !knowsPeakMemory }, () => {
  const targetOf = (read: Target["read"]): Target => ({ name: "x", samples: () => [], mutations: [], read });
  const kindOf = async (read: Target["read"], file = new Uint8Array(100)): Promise<string> => {
    const outcome = await attempt(targetOf(read), file);
    return typeof outcome === "string" ? outcome : outcome.kind;
  };
  const kept: Uint8Array[] = [];

  it("tells faults of each kind", async () => {
    assert.equal(await kindOf(() => 1), "read");
    assert.equal(await kindOf(() => Promise.reject(new EvenkeelError("file", "is damaged"))), "refused");
    assert.equal(await kindOf(() => assert.fail("read something wrong")), "error");
    assert.equal(await kindOf(() => Promise.reject(new RangeError("deep"))), "error");
    const loud = new EvenkeelError("file", "");
    loud.message = "x".repeat(5000);
    assert.equal(await kindOf(() => Promise.reject(loud)), "message");
    loud.message = "a\u001b[31m";
    assert.equal(await kindOf(() => Promise.reject(loud)), "message");
    const greedy = (): number => {
      kept.push(new Uint8Array(2 * limits.bytes).fill(1));
      return 1;
    };
    assert.equal(await kindOf(greedy), "memory");
    kept.length = 0;
    const leaving = (_: Uint8Array, folder: () => string): number => {
      writeFileSync(join(folder(), "x"), "");
      openSync(join(folder(), "x"), "r");
      return 1;
    };
    assert.equal(await kindOf(leaving), "descriptors");
  });

  it("leaves of a file what the fault needs", async () => {
    const target = targetOf((file) => (file.includes(7) && file.includes(9) ? assert.fail("seven") : 0));
    const file = Uint8Array.from({ length: 50 }, (_, i) => i % 12);
    const finding = await attempt(target, file);
    assert.ok(typeof finding !== "string");
    assert.deepEqual([...(await shrink(target, file, finding))], [7, 9]);
  });
});
