/** Networks as a page gets and gives them: dropped files, and bytes for download. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DenoiserProgram, describeDenoiser, tensorsOfWeights } from "../../../diffusion/network/index.ts";
import {
  findStoredSnapshot,
  readStoredSnapshot,
  type SnapshotDtype,
  snapshotBytes,
  type SnapshotInfo,
} from "../../../diffusion/snapshot/index.ts";
import { readSnapshot } from "../../../diffusion/snapshot/node.ts";
import { getDevice, randomKey, serializeSafetensors, tensor } from "../../../engine/index.ts";
import { blobFile, readWhole, toFloat32, writeText } from "../../../engine/io/index.ts";
import { flattenParameters, initializeParameters, type ParameterSpec } from "../../../nn/index.ts";
import { referenceFolder } from "../ema/referenceFiles.ts";
import { smallNetwork } from "../training/smallRun.ts";

const specs = flattenParameters<ParameterSpec>(describeDenoiser(smallNetwork));
const weights = new Map(Object.entries(initializeParameters(specs, randomKey(2))));
const dropped = (name: string, bytes: Uint8Array | string): ReturnType<typeof blobFile> =>
  blobFile(name, new Blob([bytes]));

describe("a dropped network", () => {
  it("is what was stored, of ours in both widths", async () => {
    const infos = fc.record({
      nimg: fc.nat({ max: 2 ** 40 }),
      sigmaRel: fc.option(fc.constantFrom(0.05, 0.1)),
      classNames: fc.option(fc.array(fc.string(), { minLength: 4, maxLength: 4 })),
      trained: fc.option(
        fc
          .tuple(fc.constantFrom(0, 0.1, 1), fc.boolean())
          .map(([labelDropout, isConsistent]) => ({ labelDropout, isConsistent })),
      ),
    });
    await fc.assert(
      fc.asyncProperty(infos, fc.constantFrom<SnapshotDtype>("F16", "F32"), async ({ trained, ...stated }, dtype) => {
        // Of what isn't known there is no word, as in files of before.
        const training = trained === null ? {} : { trained };
        const info: SnapshotInfo = { ...stated, network: smallNetwork, seenLabels: null, ...training };
        const bytes = await snapshotBytes(info, weights, dtype);
        const { weights: read, ...found } = await readStoredSnapshot(dropped("mine.safetensors", bytes));
        assert.deepEqual(found, info);
        for (const [name, each] of weights) {
          const numbers = (await each.data()) as Float32Array;
          const stored = read.get(name);
          assert.ok(stored !== undefined, name);
          // F16 has 11 bits: half a step is at most 2^-11 of the number, or 2^-25 below its smallest normal.
          const step = (x: number): number => (dtype === "F32" ? 0 : Math.max(Math.abs(x) * 2 ** -11, 2 ** -25));
          toFloat32(stored).forEach((x, i) => {
            const wanted = numbers[i] ?? 0;
            assert.ok(Math.abs(x - wanted) <= step(wanted), `${name}[${i}]: ${x} is not ${wanted}`);
          });
        }
      }),
      { numRuns: 20 },
    );
  });

  it("is the reference's pickle as a disk has it, and denoises", async () => {
    const file = path.join(referenceFolder, "network-snapshot-0008388-0.100.pkl");
    const onDisk = await readSnapshot(file);
    // Endings are read in capitals, too.
    const snapshot = await readStoredSnapshot(dropped("network.PKL", await readFile(file)));
    assert.deepEqual(snapshot, onDisk);
    const { network } = snapshot;
    const device = await getDevice("wasm");
    const program = await DenoiserProgram.create(
      network,
      tensorsOfWeights(network, snapshot.weights, "network"),
      device,
    );
    const { imageChannels, imageResolution } = network.unet;
    const denoised = await program.denoise(new Float32Array(imageChannels * imageResolution ** 2), [1], null);
    assert.ok(denoised.every(Number.isFinite), "numbers");
    program.dispose();
  });

  it("that is none is named as what it is", async () => {
    const refused = (name: string, bytes: Uint8Array | string, message: RegExp): Promise<void> =>
      assert.rejects(findStoredSnapshot(dropped(name, bytes)), { code: "file", message });
    const expected = "Expected a network as \\.safetensors or the authors' \\.pkl\\.";
    await refused("cat.safetensors", "\u0089PNG", /^cat\.safetensors: /);
    const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0xd, 0xa, 0x1a, 0xa, 0, 0, 0, 0);
    await refused("cat.safetensors", png, new RegExp(`^cat\\.safetensors: is a PNG picture\\. ${expected}`));
    await refused("cat.png", png, new RegExp(`^cat\\.png: is a PNG picture\\. ${expected}`));
    await refused(
      "net.pt",
      "PK\u0003\u0004 archive/data.pkl",
      /^net\.pt: is a file of torch\.save .*Convert it where PyTorch is/,
    );
    await refused("net.pkl", "", /^net\.pkl: is empty\. Was its download interrupted\? Expected a network/);
    await refused("net.pkl", "<!doctype html><html>", /^net\.pkl: is a web page/);
    const diffusers = serializeSafetensors({
      "conv_in.weight": { dtype: "F32", shape: [1], data: Float32Array.of(1) },
    });
    await refused("other.safetensors", diffusers, /has no header of evenkeel's: it holds weights of diffusers/);
    const own = await snapshotBytes(
      { network: smallNetwork, nimg: 1, sigmaRel: null, classNames: null },
      weights,
      "F16",
    );
    await refused("mine.safetensors", own.subarray(0, own.length - 7), /^mine\.safetensors: /);
    await refused("mine.pkl", own, /^mine\.pkl: is a safetensors file\. Give it the ending \.safetensors\./);
    const fewer = new Map(weights);
    fewer.set("unet.out_gain", tensor([1, 2]));
    const wrong = await snapshotBytes(
      { network: smallNetwork, nimg: 1, sigmaRel: null, classNames: null },
      fewer,
      "F16",
    );
    await assert.rejects(findStoredSnapshot(dropped("mine.safetensors", wrong)), {
      code: "shape",
      message: /unet\.out_gain is \[2\], expected \[\]/,
    });
  });

  it("can't be written", async () => {
    const file = dropped("mine.safetensors", "text");
    assert.equal(await file.exists(), true);
    for (const change of [writeText(file, "other"), file.append(Uint8Array.of(1)), file.remove()]) {
      await assert.rejects(change, { code: "file", message: /^mine\.safetensors: / });
    }
    assert.equal(new TextDecoder().decode(await readWhole(file)), "text");
  });
});
