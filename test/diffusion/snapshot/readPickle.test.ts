import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import fc from "fast-check";
import { readLargeFile } from "../../../diffusion/snapshot/readPickle.ts";
import { noise, temporaryFolder } from "../data/sampleFiles.ts";

const { path } = temporaryFolder();

test("a file is read whole in pieces of any size, into memory of its own", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(40), fc.integer({ min: 1, max: 45 }), async (length, piece) => {
      const content = noise(length);
      await writeFile(path("x"), content);
      const read = await readLargeFile(path("x"), piece);
      assert.deepEqual([...read], [...content]);
      // A Buffer's slice would be no copy.
      assert.ok(!Buffer.isBuffer(read));
    }),
    { numRuns: 50 },
  );
  await assert.rejects(readLargeFile(path("none")), /none: reading failed: there is no such file/);
});
