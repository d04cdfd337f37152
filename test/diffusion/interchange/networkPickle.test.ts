import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { networkConfigFromReference, readNetworkPickle } from "../../../diffusion/index.ts";
import { EvenkeelError, parseSafetensors } from "../../../engine/index.ts";
import { seededDraw } from "../../engine/io/mutateFile.ts";

const folder = new URL("../../reference/", import.meta.url);
const snapshot = "network-snapshot-0008388-0.100";
const pickle = new Uint8Array(readFileSync(new URL(`${snapshot}.pkl`, folder)));

const hex = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString("hex");

describe("readNetworkPickle", () => {
  it("gives the bits that PyTorch gives", () => {
    const { weights, className, initKwargs, lossFn, encoder, datasetKwargs } = readNetworkPickle(pickle, "snapshot");
    const truth = parseSafetensors(new Uint8Array(readFileSync(new URL(`${snapshot}.safetensors`, folder))));
    const names = [...truth.entries.keys()].filter((name) => name.startsWith("weights/"));
    assert.deepEqual([...weights.keys()].sort(), names.map((name) => name.slice("weights/".length)).sort());
    for (const name of names) {
      const [stored, expected] = [weights.get(name.slice("weights/".length)), truth.tensor(name)];
      assert.ok(stored !== undefined);
      assert.equal(stored.dtype, expected.dtype);
      assert.deepEqual(stored.shape, expected.shape);
      assert.equal(hex(stored.data), hex(expected.data), name);
    }
    assert.equal(className, "Precond");
    assert.equal(encoder?.className, "StandardRGBEncoder");
    assert.equal(lossFn?.className, "EDM2Loss");
    assert.equal(datasetKwargs["class_name"], "training.dataset.ImageFolderDataset");
    const { unet, logvarChannels } = networkConfigFromReference(initKwargs);
    assert.deepEqual([unet.imageResolution, unet.modelChannels, unet.channelMult, logvarChannels], [16, 8, [1, 2], 32]);
  });

  it("refuses pickles that are something else", () => {
    assert.throws(
      () => readNetworkPickle(Buffer.from("}.", "latin1"), "x.pkl"),
      /x\.pkl is a pickle, but no network snapshot/,
    );
    assert.throws(() => readNetworkPickle(new Uint8Array(0), "x.pkl"), /x\.pkl: the pickle ends/);
    assert.throws(() => readNetworkPickle(pickle.subarray(0, 5000), "x.pkl"), EvenkeelError);
  });

  it("gives an error or weights for 3,000 damaged files, in bounded time and memory", () => {
    const draw = seededDraw(20261);
    let read = 0;
    const before = process.memoryUsage();
    for (let n = 0; n < 3000; n++) {
      const damaged = damage(pickle, draw);
      try {
        const { weights } = readNetworkPickle(damaged, "damaged");
        const bytes = [...weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
        assert.ok(bytes <= 2 * damaged.length);
        read++;
      } catch (error) {
        assert.ok(error instanceof EvenkeelError, `${n}: ${error instanceof Error ? error.stack : String(error)}`);
        assert.match(error.message, /damaged|networkConfig/);
      }
    }
    assert.ok(read > 100 && read < 2900, `${read} of 3000 were read`);
    const grown = process.memoryUsage().arrayBuffers - before.arrayBuffers;
    // What one reading may leave until it is collected, for the last few files.
    assert.ok(grown < 400 * pickle.length, `array buffers grew by ${grown} bytes`);
  });
});

/** A file with some of its bytes changed, moved, cut out or doubled. */
function damage(file: Uint8Array, draw: (below: number) => number): Uint8Array {
  const kind = draw(6);
  const [from, length] = [draw(file.length), 1 + draw(64)];
  switch (kind) {
    case 0:
      return file.slice(0, from);
    case 1:
      return Buffer.concat([file.subarray(0, from), file.subarray(Math.min(file.length, from + length))]);
    case 2:
      return Buffer.concat([file.subarray(0, from + length), file.subarray(from)]);
    default: {
      const changed = file.slice();
      for (let n = 1 + draw(kind === 3 ? 1 : 8); n > 0; n--) {
        const at = draw(changed.length);
        changed[at] = kind === 4 ? draw(256) : (changed[at] ?? 0) ^ (1 << draw(8));
      }
      return changed;
    }
  }
}
