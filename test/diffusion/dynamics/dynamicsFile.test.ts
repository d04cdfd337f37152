import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { curvesByPlace, layerCurve, parseDynamics } from "../../../diffusion/dynamics/index.ts";
import { DynamicsLog } from "../../../diffusion/dynamics/dynamicsFile.ts";
import { readDynamics } from "../../../diffusion/dynamics/node.ts";
import { runTraining } from "../../../diffusion/run/index.ts";
import { createDevice, type Device, EvenkeelError } from "../../../engine/index.ts";
import { dynamicsHeader as header, dynamicsSample as sample } from "../../support/dynamicsSample.ts";
import { smallBatch, smallOptions } from "../training/smallRun.ts";
import { diskFile, diskFolder } from "../../../engine/io/node.ts";

let root = "";
let device: Device;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-dynamics-"));
  device = await createDevice("wasm", { wasm: { threads: 1 } });
});
after(async () => {
  device.dispose();
  await rm(root, { recursive: true });
});

const isFileError = (pattern: RegExp) => (reason: unknown) =>
  reason instanceof EvenkeelError && reason.code === "file" && pattern.test(reason.message);

test("what is appended is read back; there is nothing in a missing file", async () => {
  const path = join(root, "plain.jsonl");
  assert.equal(await readDynamics(path), null);
  const log = await DynamicsLog.open(diskFile(path), header, 0);
  assert.deepEqual(await readDynamics(path), { header, samples: [] });
  for (const nimg of [8, 80]) await log.append(sample(nimg));
  assert.deepEqual(await readDynamics(path), { header, samples: [sample(8), sample(80)] });
});

test("numbers have five digits, and null where they are not finite", async () => {
  const path = join(root, "digits.jsonl");
  const log = await DynamicsLog.open(diskFile(path), header, 0);
  await log.append({ ...sample(8), gradientNorm: Infinity, learningRate: 1 / 3 });
  const [read] = (await readDynamics(path))?.samples ?? [];
  assert.equal(read?.gradientNorm, null);
  assert.equal(read.learningRate, 0.33333);
});

test("opening at nimg removes later samples, so that a resumed file equals the uninterrupted one", async () => {
  const [straight, broken] = [join(root, "straight.jsonl"), join(root, "broken.jsonl")];
  const log = await DynamicsLog.open(diskFile(straight), header, 0);
  for (let nimg = 80; nimg <= 800; nimg += 80) await log.append(sample(nimg));
  const first = await DynamicsLog.open(diskFile(broken), header, 0);
  for (let nimg = 80; nimg <= 560; nimg += 80) await first.append(sample(nimg));
  const second = await DynamicsLog.open(diskFile(broken), header, 350);
  for (let nimg = 400; nimg <= 800; nimg += 80) await second.append(sample(nimg));
  const [got, wanted] = [await readFile(broken, "utf8"), await readFile(straight, "utf8")];
  assert.equal(
    got,
    wanted.replace(/.*"nimg":320,.*\n/, (line) => line),
  );
});

test("cut at any byte, a file gives its whole lines and no other", () => {
  const text = [header, sample(8), sample(80)].map((line) => `${JSON.stringify(line)}\n`).join("");
  const ends = [...text.matchAll(/\n/g)].map(({ index }) => index + 1);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: text.length }), (cut) => {
      const whole = ends.filter((end) => end <= cut).length;
      const read = parseDynamics(text.slice(0, cut), "file");
      assert.equal(read === null ? 0 : read.samples.length + 1, whole);
    }),
  );
});

test("damaged, foreign and newer files are errors that say where", async () => {
  const path = join(root, "damaged.jsonl");
  const lines = (...given: readonly unknown[]): string => given.map((line) => `${JSON.stringify(line)}\n`).join("");
  const refuses = async (text: string, pattern: RegExp): Promise<void> => {
    await writeFile(path, text);
    await assert.rejects(readDynamics(path), isFileError(pattern));
  };
  await refuses("hello", /damaged\.jsonl: line 1 is no header/);
  await refuses(lines({ nimg: 3 }), /line 1 is no header/);
  await refuses(lines({ ...header, version: 2 }), /line 1 is of version 2; this program reads 1/);
  await refuses(`${lines(header)}{oops\n${lines(sample(8))}`, /line 2 is no sample/);
  const short = { ...sample(8), readings: { ...sample(8).readings, gain: [] } };
  await refuses(lines(header, sample(1), short), /line 3 has 0 numbers of gain, and the header 1 names/);
  await writeFile(path, lines(header, sample(8)));
  const other = { ...header, names: { ...header.names, gains: ["another"] } };
  await assert.rejects(DynamicsLog.open(diskFile(path), other, 8), isFileError(/is of another network/));
  await assert.rejects(readDynamics(root), isFileError(/is a folder/));
});

test("curves by layer and by place", () => {
  const dynamics = { header, samples: [sample(8), sample(80)] };
  assert.deepEqual(layerCurve(dynamics, "activation", "out_conv"), [8, 80]);
  assert.deepEqual(curvesByPlace(dynamics, "activation", "max"), [
    { place: "enc 8x8", nimg: [8, 80], values: [2, 2] },
    { place: "dec 4x4", nimg: [8, 80], values: [3, 3] },
  ]);
  assert.deepEqual(
    curvesByPlace(dynamics, "activation", "mean", (layer) => layer.startsWith("enc"))[0]?.values,
    [1.5, 1.5],
  );
});

const { network } = smallOptions;

/** A run of so many steps in a folder, sampled at the first and every third one. */
const run = (outdir: string, steps: number) => {
  let made = 0;
  const stop = new AbortController();
  return runTraining(
    {
      folder: diskFolder(outdir),
      // As little to compile as there can be.
      training: { ...smallOptions, network: { ...network, unet: { ...network.unet, channelMult: [1], labelDim: 0 } } },
      duration: 12 * smallOptions.batch,
      intervals: { status: 0, snapshot: 0, checkpoint: 4 * smallOptions.batch, samples: 0, validation: 0 },
      dynamicsEvery: 3,
      snapshotDtype: "F32",
      classNames: null,
      device,
      fixed: {},
      nextBatch: (nimg, count) => ({ ...smallBatch(nimg, count), labels: null }),
      signal: stop.signal,
    },
    {
      stepped: () => {
        made += 1;
        if (made >= steps) stop.abort();
      },
    },
  );
};

test("a run that is stopped and goes on writes the file of one that isn't", async () => {
  const [straight, broken] = [join(root, "straightRun"), join(root, "brokenRun")];
  assert.equal((await run(straight, 12)).finished, true);
  // Stopped between two samples, with losses gathered that only the checkpoint keeps.
  assert.equal((await run(broken, 8)).finished, false);
  assert.equal((await run(broken, 12)).finished, true);
  const text = await readFile(join(straight, "dynamics.jsonl"), "utf8");
  assert.equal(await readFile(join(broken, "dynamics.jsonl"), "utf8"), text);
  const dynamics = parseDynamics(text, "straight");
  assert.deepEqual(
    dynamics?.samples.map(({ nimg }) => nimg),
    [1, 3, 6, 9, 12].map((step) => step * smallOptions.batch),
  );
  const images = dynamics.samples.flatMap(({ bins }) => bins.count).reduce((sum, count) => sum + count, 0);
  assert.equal(images, 12 * smallOptions.batch);
});
