import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseImages } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";

test("suffixes multiply: decimal ones by powers of 1000, those with i by powers of 1024", () => {
  const expected: Record<string, number> = {
    "0": 0,
    "88000": 88000,
    "88k": 88000,
    "1.5k": 1500,
    "2M": 2e6,
    "1G": 1e9,
    "128Ki": 131072,
    "8Mi": 8388608,
    "2Gi": 2147483648,
    "0.5Ki": 512,
    " 7 ": 7,
  };
  for (const [text, count] of Object.entries(expected)) assert.equal(parseImages(text), count, text);
});

test("whole numbers come back as they are", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (count) => assert.equal(parseImages(String(count)), count)));
});

test("anything else is refused with what it was", () => {
  for (const text of [
    "",
    "k",
    "-1",
    "1.5",
    "1.0001k",
    "8mi",
    "8 Mi",
    "1e3",
    "0x10",
    "NaN",
    "9007199254740993",
    "Infinity",
  ]) {
    assert.throws(
      () => parseImages(text),
      (reason) =>
        reason instanceof EvenkeelError && reason.code === "value" && reason.message.startsWith(JSON.stringify(text)),
      text,
    );
  }
});
