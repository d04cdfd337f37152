import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { Command } from "@commander-js/extra-typings";
import { addMetricsCommand } from "../../cli/commands/metrics.ts";
import { createDataset, type ImageDataset, selectImages } from "../../diffusion/data/index.ts";
import { describeDenoiser, networkConfig } from "../../diffusion/network/index.ts";
import { readStatistics } from "../../diffusion/metrics/node.ts";
import { writeDataset } from "../../diffusion/data/node.ts";
import { RunLock } from "../../diffusion/run/node.ts";
import { writeSnapshot } from "../../diffusion/snapshot/node.ts";
import { EvenkeelError, randomKey } from "../../engine/index.ts";
import { flattenParameters, initializeParameters, type ParameterSpec } from "../../nn/index.ts";
import { normals } from "../diffusion/metrics/normals.ts";

process.env["EVENKEEL_DEVICE"] = "wasm";
const root = mkdtempSync(path.join(os.tmpdir(), "evenkeel-metrics-"));
after(() => rmSync(root, { recursive: true }));
const file = (name: string): string => path.join(root, name);

const side = 4;
/** Grey noise round two levels: the classes. */
function pictures(count: number, seed: number, levels = [90, 170]): ImageDataset {
  const noise = normals(count * side ** 2, seed);
  const labels = Array.from({ length: count }, (_, i) => i % 2);
  const pixels = Uint8Array.from(noise, (value, at) =>
    Math.min(Math.max(Math.round((levels[Math.floor(at / side ** 2) % 2] ?? 0) + 12 * value), 0), 255),
  );
  return createDataset({ name: "pictures", channels: 1, resolution: side, pixels, labels });
}

before(async () => {
  await writeDataset(file("data.zip"), pictures(120, 1));
  await writeDataset(file("like.zip"), pictures(90, 2));
  await writeDataset(file("other.zip"), pictures(90, 3, [90, 90]));
  await writeDataset(file("unlabelled.zip"), { ...pictures(10, 4), labels: null });
  const config = networkConfig({
    unet: {
      imageChannels: 1,
      imageResolution: side,
      labelDim: 2,
      modelChannels: 8,
      channelMult: [1],
      numBlocks: 1,
      channelsPerHead: 8,
    },
  });
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
  const weights = new Map(Object.entries(initializeParameters(specs, randomKey(1))));
  await writeSnapshot(
    file("net.safetensors"),
    { network: config, nimg: 0, sigmaRel: null, classNames: null },
    weights,
    "F32",
  );
});

type Outcome = { readonly output: string; readonly errors: string; readonly failure: Error | undefined };

/** Runs `evenkeel metrics` in this process. */
async function metrics(t: TestContext, ...args: readonly string[]): Promise<Outcome> {
  const output: string[] = [];
  const errors: string[] = [];
  const mocks = [
    t.mock.method(console, "log", (text: string) => void output.push(text)),
    t.mock.method(console, "error", (text: string) => void errors.push(text)),
  ];
  const program = new Command("evenkeel").exitOverride().configureOutput({
    writeErr: (text) => void errors.push(text),
    writeOut: (text) => void output.push(text),
  });
  addMetricsCommand(program);
  const outcome = (failure: Error | undefined): Outcome => ({
    output: output.join("\n"),
    errors: errors.join("\n"),
    failure,
  });
  try {
    await program.parseAsync(["metrics", ...args], { from: "user" });
    return outcome(undefined);
  } catch (failure) {
    assert.ok(failure instanceof Error);
    return outcome(failure);
  } finally {
    for (const mock of mocks) mock.mock.restore();
  }
}

type Report = {
  readonly features: { readonly name: string; readonly distanceName: string; readonly dimension: number };
  readonly reference: { readonly source: string; readonly count: number };
  readonly images: { readonly source: string; readonly count: number; readonly repeats: number };
  readonly metrics: Readonly<
    Record<
      string,
      { readonly mean: number; readonly standardDeviation: number | null; readonly values: readonly number[] }
    >
  >;
  readonly measurements: readonly {
    readonly frechet?: {
      readonly distance: number;
      readonly means: number;
      readonly covariances: number;
      readonly bias: number;
    };
  }[];
  readonly warnings: readonly string[];
};

async function report(t: TestContext, ...args: readonly string[]): Promise<Report> {
  const { output, failure } = await metrics(t, ...args, "--json");
  assert.equal(failure, undefined);
  return JSON.parse(output) as Report;
}

async function refused(t: TestContext, pattern: RegExp, ...args: readonly string[]): Promise<void> {
  const { failure, errors } = await metrics(t, ...args);
  assert.ok(failure !== undefined, `${args.join(" ")} went through`);
  if (!(failure instanceof EvenkeelError)) assert.match(errors, pattern);
  else assert.match(failure.message, pattern);
}

const pixels = ["--features", "pixels"] as const;

describe("evenkeel metrics calc", () => {
  it("gives 0 for the reference itself and tells like from unlike", async (t) => {
    const of = async (name: string): Promise<Report> =>
      report(t, "calc", "--images", file(name), "--ref", file("data.zip"), ...pixels);
    const same = await of("data.zip");
    assert.ok(Math.abs(same.metrics["frechet"]?.mean ?? NaN) < 1e-6);
    assert.deepEqual(same.features.distanceName, "FD-pixels");
    assert.deepEqual(same.images, { source: file("data.zip"), count: 120, repeats: 1 });
    assert.equal(same.metrics["frechet"]?.standardDeviation, null);
    const [like, other] = [await of("like.zip"), await of("other.zip")];
    const { distance = NaN, means = NaN, covariances = NaN, bias = NaN } = like.measurements[0]?.frechet ?? {};
    assert.ok(Math.abs(distance - means - covariances) < 1e-12);
    // Two levels of 128 +- 40 against one: 16 pixels times (40 / 127.5)^2 for the means alone. The bias is that of Gaussians.
    const unlike = other.metrics["frechet"]?.mean ?? NaN;
    assert.ok(unlike > 16 * (40 / 127.5) ** 2, `${unlike}`);
    assert.ok(distance > 0 && distance < 2 * bias && bias < unlike / 10, `${distance}, bias ${bias}`);
    assert.match(like.warnings.join(), /FD-pixels is biased upwards by about .* 90 pictures .* 120/);
  });

  it("measures every metric, in other parts for each repeat", async (t) => {
    const all = "frechet,kid,precision,recall,density,coverage";
    const args = ["--ref", file("data.zip"), ...pixels, "--metrics", all, "--num", "40", "--repeats", "2"];
    const like = await report(t, "calc", "--images", file("like.zip"), ...args);
    assert.deepEqual(Object.keys(like.metrics), all.split(","));
    assert.deepEqual(like.images, { source: file("like.zip"), count: 40, repeats: 2 });
    for (const [name, { mean, values, standardDeviation }] of Object.entries(like.metrics)) {
      const [a = NaN, b = NaN] = values;
      assert.equal(values.length, 2, name);
      assert.ok(Math.abs(mean - (a + b) / 2) < 1e-12 && Number.isFinite(mean), name);
      assert.ok(Math.abs((standardDeviation ?? NaN) - Math.abs(a - b) / Math.SQRT2) < 1e-12, name);
    }
    assert.notEqual(like.metrics["frechet"]?.values[0], like.metrics["frechet"]?.values[1]);
    assert.deepEqual(await report(t, "calc", "--images", file("like.zip"), ...args), like, "repeatable");
    const seeded = await report(t, "calc", "--images", file("like.zip"), ...args, "--seed", "1");
    assert.notEqual(seeded.metrics["frechet"]?.mean, like.metrics["frechet"]?.mean);
    const other = await report(t, "calc", "--images", file("other.zip"), ...args);
    const value = (of: Report, name: string): number => of.metrics[name]?.mean ?? NaN;
    assert.ok(value(other, "kid") > value(like, "kid") + 0.01, JSON.stringify([other.metrics, like.metrics]));
    // Half of the reference isn't there.
    const shares = JSON.stringify([like.metrics, other.metrics]);
    assert.ok(value(other, "coverage") <= 0.5 && value(like, "coverage") > 0.5, shares);
    assert.ok(value(other, "recall") <= 0.5 && value(like, "recall") > 0.7, shares);
  });

  it("says in words what it found, warnings apart", async (t) => {
    const args = ["calc", "--images", file("like.zip"), "--ref", file("data.zip"), ...pixels, "--num", "12"];
    const { output, errors } = await metrics(t, ...args);
    assert.match(output, /^features +pixels, 16 numbers: the pixels of images of 1x4x4/);
    assert.match(output, /reference +\S+data\.zip: 120 pictures\nmeasured +\S+like\.zip: 12 pictures\nFD-pixels +\d/);
    assert.match(output, /equal Gaussian distributions would give about \d/);
    assert.match(errors, /warning: \S+like\.zip: 12 pictures for 16 features: their covariance is singular/);
    const twice = await metrics(t, ...args, "--repeats", "2");
    assert.match(twice.output, /FD-pixels +\S+ \+- \S+ \(deviation of 2; lowest \S+\)/);
  });

  it("refuses what can't be measured", async (t) => {
    const ref = ["--ref", file("data.zip")] as const;
    const images = ["--images", file("like.zip")] as const;
    await refused(t, /like\.zip has 90 images, and 91 are wanted/, "calc", ...images, ...ref, ...pixels, "--num", "91");
    await refused(t, /2 times 46 are wanted/, "calc", ...images, ...ref, ...pixels, "--num", "46", "--repeats", "2");
    await refused(t, /1 are wanted/, "calc", ...images, ...ref, ...pixels, "--num", "1");
    await refused(t, /none\.zip/, "calc", "--images", file("none.zip"), ...ref, ...pixels);
    await refused(t, /none\.zip/, "calc", ...images, "--ref", file("none.zip"), ...pixels);
    await refused(t, /none\.safetensors/, "calc", ...images, "--ref", file("none.safetensors"), ...pixels);
    await refused(t, /it is snapshot/, "calc", ...images, "--ref", file("net.safetensors"), ...pixels);
    await refused(t, /features fid: there are none/, "calc", ...images, ...ref, "--features", "fid");
    await refused(t, /fid is none of frechet, kid/, "calc", ...images, ...ref, ...pixels, "--metrics", "kid,fid");
    await refused(t, /whole number from 1 on/, "calc", ...images, ...ref, ...pixels, "--repeats", "0");
    await refused(t, /--ref <path>/, "calc", ...images, ...pixels);
    const kid = ["--metrics", "kid", "--kid-size", "200"];
    await refused(t, /subsets of 200; wanted 2 to 90/, "calc", ...images, ...ref, ...pixels, ...kid);
  });
});

describe("evenkeel metrics ref", () => {
  it("writes statistics that give the same numbers as the data", async (t) => {
    const made = await metrics(t, "ref", "--data", file("data.zip"), "--dest", file("a.safetensors"), ...pixels);
    assert.equal(made.failure, undefined);
    assert.match(made.output, /a\.safetensors: pixels of 120 pictures, 120 vectors kept/);
    const args = ["calc", "--images", file("like.zip"), ...pixels, "--metrics", "frechet,kid,precision", "--ref"];
    const [stored, direct] = [
      await report(t, ...args, file("a.safetensors")),
      await report(t, ...args, file("data.zip")),
    ];
    assert.deepEqual(stored.metrics, direct.metrics);
    assert.deepEqual(stored.reference, { source: file("a.safetensors"), count: 120 });
  });

  it("may take a part, keep no vectors, and is refused where it doesn't fit", async (t) => {
    const dest = file("b.safetensors");
    const args = ["ref", "--data", file("data.zip"), "--dest", dest, ...pixels, "--num", "50", "--keep", "0", "--json"];
    const { output } = await metrics(t, ...args);
    const { count, kept, name } = JSON.parse(output) as Readonly<Record<string, unknown>>;
    assert.deepEqual([count, kept, name], [50, 0, "pixels"]);
    assert.equal((await readStatistics(dest)).statistics.count, 50);
    const calc = ["calc", "--images", file("like.zip"), "--ref", dest];
    assert.ok((await report(t, ...calc, ...pixels)).metrics["frechet"] !== undefined);
    await refused(t, /statistics alone, without vectors/, ...calc, ...pixels, "--metrics", "kid");
    await writeDataset(
      file("large.zip"),
      createDataset({ name: "large", channels: 1, resolution: 8, pixels: new Uint8Array(640) }),
    );
    const large = ["calc", "--images", file("large.zip"), "--ref", dest, ...pixels];
    await refused(t, /features pixels \(16 numbers, fingerprint 1x4x4\), .* pixels \(64 numbers/, ...large);
    await refused(t, /ends with \.safetensors/, "ref", "--data", file("data.zip"), "--dest", file("b.npz"), ...pixels);
    await refused(
      t,
      /120 images, and 121/,
      "ref",
      "--data",
      file("data.zip"),
      "--dest",
      dest,
      ...pixels,
      "--num",
      "121",
    );
  });
});

describe("evenkeel metrics gen", () => {
  it("measures what the network makes of its seeds", async (t) => {
    const args = ["gen", "--net", file("net.safetensors"), "--ref", file("data.zip"), ...pixels, "--steps", "2"];
    const one = await report(t, ...args, "--num", "20", "--repeats", "2");
    assert.deepEqual(one.images, { source: file("net.safetensors"), count: 20, repeats: 2 });
    const { values = [] } = one.metrics["frechet"] ?? {};
    assert.ok(values.every(Number.isFinite) && values[0] !== values[1]);
    // The second repeat has the seeds that follow, in whatever batches.
    const second = await report(t, ...args, "--num", "20", "--seed", "20", "--batch", "7");
    assert.deepEqual(second.metrics["frechet"]?.values, values.slice(1));
    await refused(t, /none\.safetensors/, "gen", "--net", file("none.safetensors"), ...args.slice(3));
  });
});

describe("shares of features", () => {
  const net = ["gen", "--net", file("net.safetensors"), "--steps", "2", "--num", "20", "--batch-device", "2"];
  const commands: readonly (readonly [name: string, args: readonly string[]])[] = [
    ["calc", ["calc", "--images", file("like.zip"), "--metrics", "frechet,kid,precision"]],
    ["gen", net],
  ];
  for (const [name, own] of commands) {
    it(`${name}: what processes make of them together is what one says`, async (t) => {
      const folder = file(`parts-${name}`);
      const args = [...own, "--ref", file("data.zip"), ...pixels, "--repeats", "2", "--batch", "2", "--json"];
      const alone = await metrics(t, ...args);
      assert.equal(alone.failure, undefined, alone.errors);
      const share = (shard: string): Promise<Outcome> => metrics(t, ...args, "--parts", folder, "--shard", shard);
      const third = await share("3/3");
      assert.equal(third.output, "");
      assert.match(third.errors, /^Shard 3 of 3$/m);
      await share("1/3");
      // A part that was lost, those of the second shard: the last call makes them.
      const lost = readdirSync(folder).findLast((each) => each.endsWith("00000000.safetensors")) ?? "";
      rmSync(path.join(folder, lost));
      const last = await metrics(t, ...args, "--parts", folder);
      assert.equal(last.failure, undefined, last.errors);
      assert.match(last.errors, /parts of the features are missing and made now/);
      assert.equal(last.output, alone.output);
      const again = await metrics(t, ...args, "--parts", folder);
      assert.deepEqual([again.output, /missing/.test(again.errors)], [alone.output, false]);
      await refused(
        t,
        /features\.json was begun with repeats 2, and now it is 1/,
        ...args,
        "--parts",
        folder,
        "--repeats",
        "1",
      );
    });
  }

  it("ref: statistics have the bytes of one process's", async (t) => {
    const [alone, shared] = [file("alone.safetensors"), file("shared.safetensors")];
    const args = ["ref", "--data", file("data.zip"), ...pixels, "--batch", "4", "--dest"];
    await metrics(t, ...args, alone);
    for (const shard of ["2/2", "1/2"])
      await metrics(t, ...args, shared, "--parts", file("parts-ref"), "--shard", shard);
    assert.ok(!existsSync(shared));
    await metrics(t, ...args, shared, "--parts", file("parts-ref"));
    assert.deepEqual(readFileSync(shared), readFileSync(alone));
  });

  it("leaves a part to a process that is at it, and is refused without a folder", async (t) => {
    const folder = file("parts-busy");
    const args = ["calc", "--images", file("like.zip"), "--ref", file("data.zip"), ...pixels, "--batch", "4"];
    mkdirSync(folder);
    const lock = await RunLock.tryTake(folder, "set0-00000032.safetensors.lock");
    assert.ok(lock instanceof RunLock);
    const { errors } = await metrics(t, ...args, "--parts", folder, "--shard", "1/1");
    assert.match(errors, /set0-00000032\.safetensors: left to process \d+, which is at it/);
    await refused(t, /another process is at .*set0-00000032/, ...args, "--parts", folder);
    lock.release();
    await refused(t, /say by --parts FOLDER/, ...args, "--shard", "1/2");
  });
});

describe("evenkeel metrics classifier", () => {
  it("trains features, says how good they are, and calc uses them", async (t) => {
    const out = file("classifier.safetensors");
    const args = ["classifier", "--data", file("data.zip"), "--out", out, "--batch", "16", "--steps"];
    const { output, failure } = await metrics(t, ...args, "15", "--lr", "0.02", "--holdout", "20", "--json");
    assert.equal(failure, undefined);
    const { heldOut, commonest, classes, trainingImages } = JSON.parse(output) as {
      readonly heldOut: { readonly images: number; readonly accuracy: number };
      readonly commonest: number;
      readonly classes: number;
      readonly trainingImages: number;
    };
    assert.deepEqual([heldOut.images, commonest, classes, trainingImages], [20, 0.5, 2, 100]);
    assert.ok(heldOut.accuracy > 0.9, `${heldOut.accuracy}`);
    const features = ["--features", `classifier:${out}`];
    const found = await report(t, "calc", "--images", file("like.zip"), "--ref", file("data.zip"), ...features);
    assert.deepEqual([found.features.distanceName, found.features.dimension], ["FD-classifier", 128]);
    const words = await metrics(t, ...args, "1", "--holdout", "0");
    assert.match(words.output, /2 classes, 128 features; no pictures were held out/);
    // Trained anew: other features under the same name.
    const stats = file("c.safetensors");
    await metrics(t, "ref", "--data", file("data.zip"), "--dest", stats, ...features);
    await metrics(t, ...args, "2");
    const late = ["calc", "--images", file("like.zip"), "--ref", stats, ...features];
    await refused(t, /statistics of the features classifier .* can't be compared/, ...late);
  });

  it("refuses data without classes and a name of another kind", async (t) => {
    await refused(t, /has no classes/, "classifier", "--data", file("unlabelled.zip"), "--out", file("x.safetensors"));
    await refused(t, /ends with \.safetensors/, "classifier", "--data", file("data.zip"), "--out", file("x.pt"));
    await writeDataset(file("single.zip"), selectImages(pictures(20, 5), [0, 2, 4, 6, 8]));
    await refused(t, /1 classes/, "classifier", "--data", file("single.zip"), "--out", file("x.safetensors"));
    assert.ok(!existsSync(file("x.safetensors")));
  });
});
