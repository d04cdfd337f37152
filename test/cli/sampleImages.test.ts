import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { decode } from "fast-png";
import type { SampleSettings } from "../../cli/sampleSettings.ts";
import { sampleImages } from "../../cli/sampleImages.ts";
import { generateImages, imageGrid, parseSeeds, samplingMemory } from "../../diffusion/sample/index.ts";
import { RunLock } from "../../diffusion/run/node.ts";
import { numbersOfNpy, parseNpy } from "../../diffusion/data/files/npyFile.ts";
import { EvenkeelError, getDevice } from "../../engine/index.ts";
import { openSafetensors } from "../../engine/io/node.ts";
import { limitedDevice } from "../support/limitedDevice.ts";
import { defaults, fakeNetworks, sample } from "./fakeNetworks.ts";

const root = await mkdtemp(path.join(os.tmpdir(), "evenkeel-sample-"));
after(() => rm(root, { recursive: true }));
let folders = 0;
const newFolder = (): string => path.join(root, `out${folders++}`);
const device = await getDevice("wasm");

async function files(folder: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const found = names.map(({ parentPath, name }) => path.join(path.relative(folder, parentPath), name)).sort();
  return new Map(
    await Promise.all(found.map(async (name) => [name, await readFile(path.join(folder, name))] as const)),
  );
}

describe("sampleImages", () => {
  it("writes one picture a seed, and says how fast", async () => {
    const outdir = newFolder();
    const { lines } = await sample({ outdir, seeds: [3, 1234567, 1999], batch: 2 });
    const written = await files(outdir);
    assert.deepEqual([...written.keys()], ["000003.png", "001999.png", "1234567.png"]);
    const { width, height, channels } = decode(written.get("000003.png") ?? new Uint8Array());
    assert.deepEqual([width, height, channels], [4, 4, 3]);
    assert.match(lines[0] ?? "", /^2 of 3 images, [\d.]+ s, [\d.]+ img\/s$/);
    assert.match(lines[1] ?? "", /^3 of 3 images, .* img\/s, [\d.]+ img\/s since the first batch$/);
    assert.equal(lines[2], `${outdir}: 3 images`);
  });

  it("makes a folder for every thousand seeds", async () => {
    const outdir = newFolder();
    await sample({ outdir, subdirs: true, seeds: [0, 999, 1000, 12345] });
    const names = ["000000/000000.png", "000000/000999.png", "001000/001000.png", "012000/012345.png"];
    assert.deepEqual([...(await files(outdir)).keys()], names);
  });

  it("gives a seed the same file in any shard, batch and order", async () => {
    const seeds = parseSeeds("0-12");
    const churned = { sChurn: 2, classes: "2,0,3", seeds };
    const [whole, sharded] = [newFolder(), newFolder()];
    const [grid, joined] = [path.join(newFolder(), "grid.png"), path.join(newFolder(), "grid.png")];
    await sample({ ...churned, outdir: whole, grid });
    const expected = await files(whole);
    assert.equal(new Set([...expected.values()].map((file) => file.toString("hex"))).size, 13);
    for (const index of [3, 1, 2]) {
      await sample({ ...churned, outdir: sharded, grid: joined, shard: { index, count: 3 }, batch: 2 });
    }
    await assert.rejects(readFile(joined), { code: "ENOENT" });
    const made = await files(sharded);
    // What decides the images stays with them.
    assert.ok(made.delete("sampling.json"));
    assert.deepEqual(made, expected);
    // One was lost: it alone is made, and the grid of all.
    await rm(path.join(sharded, "000005.png"));
    const { lines } = await sample({ ...churned, outdir: sharded, grid: joined });
    assert.equal(lines[1], "12 of 13 images are there already");
    assert.match(lines[2] ?? "", /^1 of 1 images/);
    assert.deepEqual(await readFile(joined), await readFile(grid));
    assert.deepEqual((await files(sharded)).get("000005.png"), expected.get("000005.png"));
    const other = sample({ ...churned, outdir: sharded, steps: 5 });
    await assert.rejects(other, { code: "value", message: /sampling\.json was begun with steps 4, and now it is 5/ });
  });

  it("shares latents out, and joins them to the bytes of one process", async () => {
    const [whole, joined] = [path.join(newFolder(), "a.safetensors"), path.join(newFolder(), "b.safetensors")];
    const wanted = { net: "latent", seeds: [5, 1, 9, 2, 30], networkBatch: 2 };
    await sample({ ...wanted, latents: whole });
    for (const index of [2, 1]) await sample({ ...wanted, latents: joined, shard: { index, count: 2 } });
    await assert.rejects(readFile(joined), { code: "ENOENT" });
    await sample({ ...wanted, latents: joined });
    assert.deepEqual(await readFile(joined), await readFile(whole));
  });

  it("leaves images to a process that is at them, and says so", async () => {
    const outdir = newFolder();
    const seeds = parseSeeds("0-7");
    const shard = { index: 1, count: 1 };
    await mkdir(outdir);
    const lock = await RunLock.tryTake(outdir, "000004.png.lock");
    assert.ok(lock instanceof RunLock);
    const { lines } = await sample({ outdir, seeds, shard });
    assert.ok(lines.some((line) => line.endsWith(`000004.png: left to process ${process.pid}, which is at it`)));
    assert.deepEqual(
      [...(await files(outdir)).keys()].filter((name) => name.endsWith(".png")),
      ["000000.png", "000001.png", "000002.png", "000003.png"],
    );
    const merged = sample({ outdir, seeds });
    await assert.rejects(merged, { code: "file", message: /other processes are at 4 of the images \(.*000004\.png/ });
    lock.release();
    await sample({ outdir, seeds });
    assert.equal([...(await files(outdir)).keys()].filter((name) => name.endsWith(".png")).length, 8);
    const gridAlone = sample({ grid: path.join(newFolder(), "grid.png"), shard });
    await assert.rejects(gridAlone, { code: "value", message: /say by --outdir where they go/ });
  });

  it("gives a seed the same file in any batch and order", async () => {
    const seeds = parseSeeds("0-12");
    const random = newFolder();
    await sample({ outdir: random, seeds });
    const reversed = newFolder();
    await sample({ outdir: reversed, seeds: seeds.toReversed(), batch: 5 });
    assert.deepEqual(await files(reversed), await files(random));
  });

  it("draws the grid of the same pictures", async () => {
    const outdir = newFolder();
    const grid = path.join(newFolder(), "grid.png");
    await sample({ net: "grey", outdir, grid, gridScale: 2, gridColumns: 3, batch: 3 });
    const pictures = [...(await files(outdir)).values()].map((file) => decode(file).data);
    const expected = imageGrid(Uint8Array.from(pictures.flatMap((data) => [...data])), [4, 1, 4, 4], {
      scale: 2,
      columns: 3,
    });
    const { width, height, channels, data } = decode(await readFile(grid));
    assert.deepEqual({ width, height, channels, data: [...data] }, { ...expected, data: [...expected.data] });
  });

  it("gives seeds their classes in turn, or none to a network without", async () => {
    const { labels } = await sample({ outdir: newFolder(), classes: "3,1", steps: 1 });
    assert.deepEqual(labels, [[0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0]]);
    assert.deepEqual((await sample({ net: "grey", outdir: newFolder(), steps: 1 })).labels, [null]);
    await assert.rejects(sample({ outdir: newFolder(), classes: "4" }), {
      code: "value",
      message: /^class "4" is none of the network's\. It has classes 0 to 3\.$/,
    });
    await assert.rejects(sample({ net: "grey", outdir: newFolder(), classes: "0" }), { message: /takes no labels/ });
  });

  it("takes classes by name, in the order given and as often, and says which they are", async () => {
    const chosen = async (classes: string, seeds: readonly number[]): Promise<unknown> => {
      const { labels, lines } = await sample({
        net: "named",
        grid: path.join(newFolder(), "g.png"),
        classes,
        seeds,
        steps: 1,
      });
      const numbers = (labels[0] ?? []).flatMap((value, i) => (value === 1 ? [i % 4] : []));
      return [numbers.slice(0, seeds.length), lines[0]];
    };
    assert.deepEqual(await chosen("cats,cats,2,2", [0, 1, 2, 3]), [
      [2, 2, 1, 1],
      "classes: cats (2), cats (2), 2 (1), 2 (1)",
    ]);
    // Seeds may repeat as well: the same noise with another class.
    assert.deepEqual(await chosen("dogs, small,10", [7, 7, 7]), [[3, 0, 3], "classes: dogs, small (3), 10 (0)"]);
  });

  it("takes label vectors from a file or the training data, never classes that none had", async () => {
    const file = path.join(root, "wanted.json");
    await writeFile(file, "[[0.125, 7], [0, 3]]");
    const common = { net: "measured", outdir: newFolder(), steps: 1, seeds: [0, 1, 2, 3] };
    const given = await sample({ ...common, labels: file });
    assert.deepEqual(given.labels, [[0.125, 7, 0, 3, 0.125, 7, 0, 3]]);
    assert.equal(given.lines[0], `labels: 2 of ${file}, taken in turn`);
    const drawn = await sample(common);
    const pairs = (drawn.labels[0] ?? []).flatMap((value, i, all) => (i % 2 === 0 ? [`${value},${all[i + 1]}`] : []));
    assert.ok(pairs.length === 4 && pairs.every((pair) => pair === "0.5,180" || pair === "0.25,90"), pairs.join(" "));
    assert.equal(drawn.lines[0], "labels: drawn from 2 label vectors of the training data");
    await assert.rejects(sample({ ...common, classes: "0" }), {
      code: "value",
      message: /vectors of 2 numbers and no classes/,
    });
    await writeFile(file, "[[1, 2, 3]]");
    await assert.rejects(sample({ ...common, labels: file }), {
      message: /label 0 has 3 numbers, the network's have 2/,
    });
    await writeFile(file, "{}");
    await assert.rejects(sample({ ...common, labels: file }), { code: "file", message: /expected JSON such as/ });
    const some = await sample({ net: "partlySeen", outdir: newFolder(), steps: 1, seeds: parseSeeds("0-15") });
    const drawnClasses = some.labels.flatMap((all) => (all ?? []).flatMap((value, i) => (value === 1 ? [i % 4] : [])));
    assert.deepEqual(new Set(drawnClasses), new Set([1, 3]));
    assert.equal(some.lines[0], "classes: drawn from the 2 of 4 that had images: 1, 3");
    const unseen = await sample({ net: "partlySeen", outdir: newFolder(), steps: 1, classes: "3,2" });
    assert.match(unseen.lines[1] ?? "", /had no images of 1 of these classes.*: 2$/);
  });

  it("says which settings change nothing", async () => {
    const idle = async (settings: Partial<SampleSettings>): Promise<readonly string[]> =>
      (await sample({ outdir: newFolder(), seeds: [1], ...settings })).lines.filter((line) =>
        line.includes("changes nothing"),
      );
    assert.deepEqual(await idle({}), []);
    assert.deepEqual(await idle({ gnet: "weak", guidance: 2, interval: [0.5, 10], sChurn: 1, sMin: 1 }), []);
    for (const [settings, pattern] of [
      [{ gnet: "weak" }, /^--gnet .*--guidance is 1/],
      [{ gnet: "colour", guidance: 2 }, /^--guidance .*the network itself/],
      [{ interval: [1, 2] }, /^--interval .*no guidance/],
      [{ gnet: "weak", guidance: 2, interval: [80, 100] }, /^--guidance .*no step starts/],
      [{ sMax: 5 }, /^--S_min, --S_max or --S_noise .*--S_churn is 0/],
      [{ sChurn: 1, sMin: 90 }, /^--S_churn .*no step starts/],
      [{ steps: 1, rho: 5 }, /^--sigma_min or --rho .*single step/],
      [{ gridScale: 4 }, /^--grid-columns or --grid-scale .*no --grid/],
      [{ outdir: undefined, grid: path.join(newFolder(), "g.png"), subdirs: true }, /^--subdirs .*no --outdir/],
    ] as const) {
      const lines = await idle(settings);
      assert.equal(lines.length, 1, lines.join("\n"));
      assert.match(lines[0] ?? "", pattern);
    }
  });

  it("asks the guide within the interval only, and moves away from it", async () => {
    const outdir = newFolder();
    const interval = [0.5, 10] as const;
    const settings = { seeds: [5], classes: "1", networkBatch: 1, guidance: 2, gnet: "unlabelled", outdir };
    // 4 steps start at 80, 13.3, 0.96, 0.002.
    assert.equal((await sample({ ...settings, interval })).labels.filter((labels) => labels === null).length, 2);
    assert.equal((await sample(settings)).labels.filter((labels) => labels === null).length, 7);
    const level = async (): Promise<number> =>
      decode((await files(outdir)).get("000005.png") ?? new Uint8Array()).data[0] ?? 0;
    const strong = await level();
    await sample({ ...settings, guidance: 1 });
    assert.ok(strong > (await level()));
  });

  it("writes latents as the VAE's decoder takes them, into an array that NumPy or PyTorch reads", async () => {
    const folder = newFolder();
    const [npy, tensors] = [path.join(folder, "latents.npy"), path.join(folder, "latents.safetensors")];
    const settings = { net: "latent", seeds: [5, 3, 9], batch: 2, networkBatch: 1 };
    const { lines } = await sample({ ...settings, latents: npy });
    assert.match(lines[0] ?? "", /makes latents \[4, 4, 4\] of the VAE stabilityai\/sd-vae-ft-mse, not pictures/);
    assert.match(lines.join("\n"), /latents \[3, 4, 4, 4\].*decoder of stabilityai.*\n.*AutoencoderKL/);
    const array = parseNpy(await readFile(npy), npy);
    assert.deepEqual([array.type, array.shape], ["<f4", [3, 4, 4, 4]]);
    const written = numbersOfNpy(array, npy);
    const loaded = await (await fakeNetworks().find("latent")).load(device);
    const images: number[] = [];
    const common = {
      denoiser: loaded.denoiser,
      imageShape: [4, 4, 4],
      seeds: settings.seeds,
      batch: 2,
      networkBatch: 1,
      steps: 4,
    };
    for await (const batch of generateImages(common)) images.push(...batch.images);
    loaded.dispose();
    const channels = [
      [5.81, 4.17],
      [3.25, 4.62],
      [0.12, 3.71],
      [-2.15, 3.28],
    ] as const;
    assert.equal(written.length, images.length);
    written.forEach((value, i) => {
      const [mean, deviation] = channels[Math.floor(i / 16) % 4] ?? [NaN, NaN];
      const expected = ((images[i] ?? NaN) / 0.5) * deviation + mean;
      assert.ok(Math.abs(value - expected) < 1e-5 * (1 + Math.abs(expected)), `${value} at ${i}, expected ${expected}`);
    });
    await sample({ ...settings, latents: tensors });
    await using file = await openSafetensors(tensors);
    assert.equal(file.metadata.get("vae"), "stabilityai/sd-vae-ft-mse");
    const { shape, data } = await file.tensor("latents");
    assert.deepEqual([shape, [...data].map(Number)], [[3, 4, 4, 4], written]);
    assert.deepEqual([...(await file.tensor("seeds")).data].map(Number), settings.seeds);
    // A seed gives the same latents whatever else is sampled.
    await sample({ ...settings, seeds: [9], latents: npy });
    assert.deepEqual(numbersOfNpy(parseNpy(await readFile(npy), npy), npy), written.slice(128));
  });

  it("says what it takes of memory, and what fits instead, before weights are read", async () => {
    const { memory } = await sample({ outdir: newFolder(), seeds: [1], steps: 1 });
    assert.match(memory, /^memory: up to [\d.]+ MiB of the 4 GiB that wasm holds, .* are free on this machine$/);
    const refused = async (settings: Partial<SampleSettings>, bytes: number): Promise<string> => {
      const loading = fakeNetworks();
      const scarce = limitedDevice(device, { memory: bytes });
      const all = { ...defaults, outdir: newFolder(), ...settings };
      let message = "";
      await assert.rejects(
        sampleImages(all, scarce, loading.find, () => undefined),
        (error: EvenkeelError) => {
          message = error.message;
          return error.code === "memory";
        },
      );
      assert.deepEqual(loading.loaded, []);
      return message;
    };
    const between = async (less: readonly number[], more: readonly number[]): Promise<number> => {
      const needed = async ([count = 1, batch = 1]: readonly number[]): Promise<number> => {
        const config = (await fakeNetworks().find("colour")).config;
        const configs = Array.from({ length: count }, () => config);
        return (await samplingMemory(configs, batch, { ...device.limits, memory: 0 })).most;
      };
      return ((await needed(less)) + (await needed(more))) / 2;
    };
    const [some, two] = [await between([1, 32], [1, 64]), await between([1, 1], [2, 1])];
    assert.match(await refused({ networkBatch: 64 }, some), /What fits: --batch-device 32; or --device cpu/);
    assert.match(await refused({ gnet: "weak", guidance: 2 }, two), /What fits: no guiding network/);
    assert.match(
      await refused({}, 2 ** 20),
      /^sample: this takes .* on wasm, which holds 1 MiB\. What fits: a smaller/,
    );
  });

  it("says what doesn't fit", async () => {
    const outdir = newFolder();
    const expectFailure = (settings: Partial<SampleSettings>, message: RegExp, code = "value"): Promise<void> =>
      assert.rejects(sample(settings), { name: "EvenkeelError", code, message });
    await expectFailure({}, /--outdir FOLDER, --grid FILE or both/);
    await expectFailure({ outdir, guidance: 1.5 }, /--guidance 1.5 needs a guiding network/);
    await expectFailure({ grid: path.join(outdir, "g.jpg") }, /--grid .*g\.jpg would be a PNG file .*\.png/);
    await expectFailure({ outdir, seeds: [3, 1, 3] }, /seed 3 is there twice/);
    await expectFailure({ outdir, classes: "1", labels: "x.npy" }, /--class and --labels/);
    await expectFailure({ outdir, sigmaMin: 0 }, /noise level 0 divides by it.*0\.002 is the usual/);
    await expectFailure(
      { outdir, net: "latent" },
      /latent makes latents \[4, 4, 4\] of the VAE stabilityai\/sd-vae-ft-mse, not pictures.*--latents FILE\.npy/,
    );
    await expectFailure({ latents: "l.npy", net: "colour" }, /colour makes pictures and no latents/);
    await expectFailure({ latents: "l.png", net: "latent" }, /--latents l\.png: expected .*\.npy or \.safetensors/);
    await expectFailure({ outdir, guidance: 2, gnet: "larger" }, /3x4x4 and its guide larger of 3x8x8/);
    await expectFailure({ outdir, guidance: 2, gnet: "otherClasses" }, /knows 4 classes and its guide otherClasses 5/);
    await expectFailure({ outdir, net: "grey", guidance: 2, gnet: "self" }, /grey takes no labels/);
    await expectFailure({ outdir, net: "nowhere" }, /nowhere is missing/, "file");
    await expectFailure({ outdir, guidance: 2, gnet: "nowhere" }, /nowhere is missing/, "file");
    const taken = path.join(root, "taken");
    await writeFile(taken, "");
    await expectFailure({ outdir: taken }, /taken: making the folder failed/, "file");
    await expectFailure({ grid: path.join(taken, "grid.png") }, /taken: making the folder failed/, "file");
  });
});
