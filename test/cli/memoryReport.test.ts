import assert from "node:assert/strict";
import { copyFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { tellTrainingMemory } from "../../cli/memoryReport.ts";
import { configurationNetwork } from "../../diffusion/presets/index.ts";
import { samplingMemory } from "../../diffusion/sample/index.ts";
import { trainingMemory, type TrainingOptions } from "../../diffusion/training/index.ts";
import { createDevice, EvenkeelError } from "../../engine/index.ts";
import { smallOptions } from "../diffusion/training/smallRun.ts";
import { temporaryFolder } from "../diffusion/data/sampleFiles.ts";
import { referenceFolder } from "../diffusion/ema/referenceFiles.ts";
import { evenkeel } from "./train/tinyRun.ts";
import { limitedDevice } from "../support/limitedDevice.ts";

const training: TrainingOptions = {
  ...smallOptions,
  network: configurationNetwork("G", {
    imageResolution: 16,
    imageChannels: 3,
    labelDim: 2,
    modelChannels: 8,
    channelMult: [1],
    numBlocks: 1,
    attnResolutions: [],
    channelsPerHead: 8,
  }),
  batch: 64,
  batchDevice: 64,
};

describe("what training takes of memory", async () => {
  const device = await createDevice("wasm", { wasm: { threads: 1 } });
  device.dispose();

  it("is said in one line, with what the device holds and the machine has", async () => {
    const lines: string[] = [];
    await tellTrainingMemory(training, device, (line) => lines.push(line));
    assert.equal(lines.length, 1);
    assert.match(
      lines[0] ?? "",
      /^Memory {13}up to \d+\.\d MiB of the 4 GiB that wasm holds, up to [\d.]+ KiB more while .*; \d.* are free on this machine$/,
    );
  });

  it("is refused where the device can't hold it, with the largest part of a batch that fits, or a smaller network", async () => {
    const refusal = async (options: TrainingOptions, bytes: number): Promise<string> => {
      const scarce = limitedDevice(device, { memory: bytes });
      let message = "";
      await assert.rejects(
        tellTrainingMemory(options, scarce, () => undefined),
        (error: EvenkeelError) => {
          message = error.message;
          return error.code === "memory";
        },
      );
      return message;
    };
    const least = { ...device.limits, memory: 2 ** 25 };
    const needed =
      (await trainingMemory(training, least)).most + (await samplingMemory([training.network], 24, least)).most;
    const part = Number(
      /What fits: --batch-device (\d+); or --device cpu/.exec(await refusal(training, 0.9 * needed))?.[1],
    );
    assert.ok(part >= 8 && part < 64 && 64 % part === 0, String(part));
    assert.match(
      await refusal({ ...training, batch: 1, batchDevice: 1 }, 2 ** 18),
      /^train: this takes .* on wasm, which holds 256 KiB\. What fits: fewer --channels with --batch-device 1; or --device cpu/,
    );
  });
});

describe("what reading a pickle takes of memory", () => {
  const { path } = temporaryFolder();

  it("is said before a large one is read, and of a small one nothing", async () => {
    await writeFile(path("large.pkl"), "");
    // Nothing but a size, on most file systems.
    await truncate(path("large.pkl"), 2 ** 28 + 2 ** 20);
    for (const args of [
      ["sample", "--net", path("large.pkl"), "--seeds", "0", "--outdir", path("out")],
      ["count", "--net", path("large.pkl")],
    ]) {
      const { code, err } = await evenkeel(args);
      assert.equal(code, 1);
      const [memory = "", failure = ""] = err.split("\n");
      assert.match(
        memory,
        /^memory: reading .*large\.pkl, a pickle of 257 MiB, takes up to 514 MiB; .* are free on this machine$/,
      );
      assert.match(failure, /^evenkeel: .*large\.pkl: /);
    }
    await copyFile(join(referenceFolder, "network-snapshot-0008388-0.100.pkl"), path("small.pkl"));
    const { code, err } = await evenkeel(["count", "--net", path("small.pkl")]);
    assert.deepEqual([code, err], [0, ""]);
    const none = await evenkeel(["count", "--net", path("none.pkl")]);
    assert.match(none.err, /^evenkeel: .*none\.pkl: opening failed: there is no such file/);
  });
});
