import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { openDataset } from "../diffusion/data/node.ts";
import { createDevice, type Device } from "../engine/index.ts";
import { train as trainClassifier } from "../examples/classifier.ts";
import { learn } from "../examples/gpt.ts";
import { train as trainDistance } from "../examples/gradientPenalty.ts";
import { train } from "../examples/mlp.ts";
import { fit } from "../examples/neuralOde.ts";
import { draw } from "../examples/rings.ts";
import { webgpuSkip } from "./support/webgpuSkip.ts";

/** The oracle is slow: a start has to do there. */
const steps = { oracle: 10, wasm: 200, cpu: 200, webgpu: 200 } as const;
let reference: Promise<number[]> | undefined;

async function lossesOn(name: keyof typeof steps): Promise<number[]> {
  const device = await createDevice(name);
  try {
    return await train(device, steps[name]);
  } finally {
    device.dispose();
  }
}

describe("examples/mlp.ts", () => {
  for (const name of ["oracle", "cpu", "webgpu"] as const) {
    it(`has the loss curve of wasm on ${name}, within 1e-4`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const wasm = await (reference ??= lossesOn("wasm"));
      const other = await lossesOn(name);
      assert.equal(other.length, steps[name]);
      const worst = Math.max(...other.map((loss, i) => Math.abs(loss - (wasm[i] ?? NaN))));
      assert.ok(worst <= 1e-4, `${name} is ${worst} away`);
      assert.ok((wasm.at(-1) ?? NaN) < 0.02 * (wasm[0] ?? NaN), "it does not fit");
    });
  }
});

describe("examples/rings.ts", () => {
  it("learns, and draws two rows of pictures", async () => {
    const device = await createDevice("wasm");
    try {
      const { picture, errors } = await draw(device, 60, 3);
      assert.ok(mean(errors.slice(-10)) < 0.7 * mean(errors.slice(0, 10)), errors.join());
      // Pictures of 8 pixels with 2 between them and around.
      assert.deepEqual([picture.width, picture.height, picture.channels], [3 * 10 + 2, 2 * 10 + 2, 1]);
      assert.ok(picture.data.some((pixel) => pixel > 64));
    } finally {
      device.dispose();
    }
  });
});

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value / values.length, 0);

async function onWasm<R>(run: (device: Device) => Promise<R>): Promise<R> {
  const device = await createDevice("wasm");
  try {
    return await run(device);
  } finally {
    device.dispose();
  }
}

describe("examples/gpt.ts", () => {
  it("learns a text by heart and writes it on", async () => {
    const verse = "all the king's horses and all the king's men ";
    await onWasm(async (device) => {
      const sizes = { length: 16, channels: 32, heads: 2, layers: 2 };
      const { losses, write, dispose } = await learn(device, verse.repeat(20), sizes, 200, 8);
      // At first it knows nothing of the letters, of which there are fewer than e^3.
      assert.ok(Math.abs((losses[0] ?? NaN) - Math.log(new Set(verse).size)) < 0.3, `${losses[0]}`);
      assert.ok(mean(losses.slice(-10)) < 0.5, `${mean(losses.slice(-10))}`);
      // Of what comes behind the second "king's " its window doesn't tell.
      assert.equal(await write("all the king's h", 25, 0.1), verse.slice(0, 41));
      dispose();
    });
  });
});

describe("examples/classifier.ts", () => {
  it("learns what there is to see in files of images, by one program for batches of all sizes", async () => {
    const [count, size] = [90, 8];
    const labels = Uint8Array.from({ length: count }, (_, i) => i % 3);
    // Stripes along rows, along columns, or none, on different greys.
    const pixels = Uint8Array.from({ length: count * size * size }, (_, i) => {
      const [image, y, x] = [Math.floor(i / size ** 2), Math.floor(i / size) % size, i % size];
      const stripe = [y % 2, x % 2, 0.5][labels[image] ?? 0] ?? 0;
      return 255 * (0.7 * stripe + 0.3 * Math.abs(Math.sin(image + 1)));
    });
    const folder = await mkdtemp(path.join(os.tmpdir(), "evenkeel-idx-"));
    try {
      await writeFile(path.join(folder, "train-images-idx3-ubyte"), idx([count, size, size], pixels));
      await writeFile(path.join(folder, "train-labels-idx1-ubyte"), idx([count], labels));
      const training = await openDataset(path.join(folder, "train-images-idx3-ubyte"));
      assert.deepEqual([...(training.labels?.values ?? [])], [...labels]);
      const { losses, accuracies, programs } = await onWasm((device) =>
        trainClassifier(device, training, training, 12, 16),
      );
      assert.deepEqual([losses.length, programs], [12 * Math.ceil(count / 16), 1]);
      assert.ok((accuracies.at(-1) ?? 0) > 0.95, accuracies.join());
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** An IDX file of bytes. */
function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const file = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(file.buffer);
  view.setUint32(0, 0x800 + shape.length);
  shape.forEach((extent, axis) => view.setUint32(4 + 4 * axis, extent));
  file.set(data, 4 + 4 * shape.length);
  return file;
}

describe("examples/neuralOde.ts", () => {
  it("fits the motion, so that it follows the spiral", async () => {
    const { losses, distance } = await onWasm((device) => fit(device, 300));
    assert.ok(mean(losses.slice(-10)) < 0.2 * mean(losses.slice(0, 10)), `${mean(losses.slice(-10))}`);
    // Where it doesn't move at all it is 2.3 away.
    assert.ok(distance < 0.8, `${distance}`);
  });
});

describe("examples/gradientPenalty.ts", () => {
  it("learns distances from points on the curve alone", async () => {
    const { losses, error } = await onWasm((device) => trainDistance(device, 200));
    assert.ok(mean(losses.slice(-10)) < 0.1 * mean(losses.slice(0, 10)), `${mean(losses.slice(-10))}`);
    // Of a function that is 0 everywhere the error is 0.67.
    assert.ok(error < 0.15, `${error}`);
  });
});
