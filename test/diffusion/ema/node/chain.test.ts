import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { formatSigmaRel, powerProfile, reconstruct } from "../../../../diffusion/ema/index.ts";
import { parseSnapshotMetadata } from "../../../../diffusion/snapshot/index.ts";
import { listSnapshots, reconstructFiles } from "../../../../diffusion/ema/node.ts";
import { readSafetensors } from "../../../../engine/io/node.ts";
import { numbersOf, readReference, referenceFolder, rowsOf } from "../referenceFiles.ts";

const outdir = mkdtempSync(path.join(os.tmpdir(), "evenkeel-chain-"));
after(() => rmSync(outdir, { recursive: true }));

/** Distance in steps of f16: its bits count magnitudes upwards, the sign apart. */
function f16Steps(a: number, b: number): number {
  const place = (bits: number): number => (bits & 0x8000 ? -(bits & 0x7fff) : bits);
  return Math.abs(place(a) - place(b));
}

describe("the authors' snapshots", () => {
  it("are found, with the exact number of images, and reconstructed as the authors' program does it", async () => {
    const truth = await readReference("phema_chain.safetensors");
    const snapshots = await listSnapshots(path.join(referenceFolder, "phema_chain"));
    const [nimg, widths] = [numbersOf(truth, "in_nimg"), numbersOf(truth, "in_std")];
    assert.deepEqual(
      snapshots.map(({ profile }) => profile),
      nimg.map((time, i) => powerProfile(time, widths[i] ?? 0)),
    );
    const targets = JSON.parse(truth.metadata.get("out_std") ?? "") as number[];
    const end = Number(truth.metadata.get("out_nimg"));
    const wanted = targets.map((sigmaRel) => powerProfile(end, sigmaRel));
    const results = await reconstruct(snapshots, wanted);
    const coefficients = rowsOf(truth, "coefs");
    for (const [target, { fit, weights }] of results.entries()) {
      fit.coefficients.forEach((value, i) => assert.ok(Math.abs(value - (coefficients[i]?.[target] ?? 9)) <= 1e-7));
      const prefix = `phema-${formatSigmaRel(targets[target] ?? 0)}/`;
      const names = [...truth.entries.keys()].filter((name) => name.startsWith(prefix));
      assert.deepEqual(names.map((name) => name.slice(prefix.length)).sort(), [...weights.keys()].sort());
      for (const name of names) {
        const [expected, found] = [truth.tensor(name), weights.get(name.slice(prefix.length))];
        assert.ok(expected.dtype === "F16" && found?.dtype === "F16", name);
        assert.deepEqual(found.shape, expected.shape, name);
        found.data.forEach((bits, i) => assert.ok(f16Steps(bits, expected.data[i] ?? 0) <= 1, `${name}[${i}]`));
      }
    }
  });

  it("become snapshots of ours", async () => {
    const snapshots = await listSnapshots(path.join(referenceFolder, "phema_chain"));
    const end = Math.max(...snapshots.map(({ profile }) => profile.nimg));
    const file = path.join(outdir, "phema.safetensors");
    await reconstructFiles(snapshots, [{ profile: powerProfile(end, 0.12), path: file }]);
    const { metadata } = await readSafetensors(file);
    const info = parseSnapshotMetadata(metadata, file);
    assert.deepEqual([info.nimg, info.sigmaRel], [end, 0.12]);
    assert.ok(info.network.unet.imageResolution > 0);
  });
});
