import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  formatExactSnapshotName,
  formatSnapshotName,
  nimgFromKimg,
  parseSnapshotName,
} from "../../../diffusion/ema/snapshotNames.ts";
import { formatSigmaRel } from "../../../diffusion/ema/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

describe("snapshot names", () => {
  it("are the authors'", () => {
    assert.equal(formatSnapshotName("network-snapshot", 8388608, 0.1), "network-snapshot-0008388-0.100");
    assert.equal(formatSnapshotName("phema", 2147483648, 0.05), "phema-2147483-0.050");
    assert.equal(formatSnapshotName("x", 12345678901, 0.0125), "x-12345678-0.0125");
    assert.equal(formatSigmaRel(0.1 + 0.05), "0.150");
    assert.equal(formatSigmaRel(1e-7), "0.0000001");
    assert.deepEqual(parseSnapshotName("network-snapshot-0008388-0.100"), {
      prefix: "network-snapshot",
      kimg: 8388,
      sigmaRel: 0.1,
    });
    for (const other of ["network-snapshot", "a-1-b", "-1-0.1", "training-state-0008388", "a-1-0", "a-1-0.1.old", ""]) {
      assert.equal(parseSnapshotName(other), undefined, other);
    }
  });

  it("are read as they were written", () => {
    const prefix = fc.stringMatching(/^[a-z][a-z0-9.-]{0,20}$/);
    const widths = fc.integer({ min: 1, max: 288 }).map((n) => n / 1000);
    fc.assert(
      fc.property(prefix, fc.nat(), widths, (name, nimg, sigmaRel) => {
        const parsed = parseSnapshotName(formatSnapshotName(name, nimg, sigmaRel));
        assert.deepEqual(parsed, { prefix: name, kimg: Math.floor(nimg / 1000), sigmaRel });
      }),
    );
  });

  it("tell all images where two states share a thousand", () => {
    assert.equal(formatExactSnapshotName("network-snapshot", 2016, 0.1), "network-snapshot-0000002.016-0.100");
    fc.assert(
      fc.property(fc.nat(), (nimg) => {
        const parsed = parseSnapshotName(formatExactSnapshotName("s", nimg, 0.05));
        assert.deepEqual(parsed, { prefix: "s", kimg: Math.floor(nimg / 1000), sigmaRel: 0.05, nimg });
      }),
    );
  });

  it("tell multiples of 1024 images exactly", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 24), (count) => {
        const nimg = count * 1024;
        assert.equal(nimgFromKimg(Math.floor(nimg / 1000)), nimg);
      }),
    );
    // 42 * 1024 = 43008, and 41 * 1024 = 41984: none in the thousand of 42.
    assert.throws(
      () => nimgFromKimg(42),
      (error) => error instanceof EvenkeelError && /\[42000, 42999\]/.test(error.message),
    );
  });
});
