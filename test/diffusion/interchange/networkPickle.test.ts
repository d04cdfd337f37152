import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { networkConfigFromReference } from "../../../diffusion/network/index.ts";
import { readNetworkPickle } from "../../../diffusion/interchange/networkPickle.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { parseSafetensors } from "../../../engine/io/index.ts";
import { damagedPickles, protocolSamples } from "./damagedPickles.ts";
import storedWeights from "./samples/weights.json" with { type: "json" };

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

  protocolSamples.forEach((bytes, protocol) => {
    it(`reads every element type, shared and strided storages by protocol ${protocol}`, () => {
      const { weights, encoder } = readNetworkPickle(bytes, "sample");
      const read = [...weights].map(([name, { dtype, shape, data }]) => [name, dtype, shape, hex(data)]);
      assert.deepEqual(read, storedWeights);
      assert.equal(encoder?.className, "StabilityVAEEncoder");
    });
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
    let [n, read] = [0, 0];
    const before = process.memoryUsage();
    for (const damaged of damagedPickles(3000)) {
      n++;
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
