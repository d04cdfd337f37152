import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  formatSigmaRel,
  guideAverage,
  powerProfile,
  profileDensity,
  profileInnerProduct,
  reconstruct,
  snapshotPlace,
  snapshotsIn,
  StoredAverages,
} from "../../../diffusion/ema/index.ts";
import { reconstructFiles } from "../../../diffusion/ema/node.ts";
import { describeDenoiser } from "../../../diffusion/network/index.ts";
import { type SnapshotDtype, storeSnapshot } from "../../../diffusion/snapshot/index.ts";
import { type Folder, memoryFolder, readWhole, toFloat32 } from "../../../engine/io/index.ts";
import { diskFolder } from "../../../engine/io/node.ts";
import { foldIn, getDevice, randomKey, type Tensor, tensor } from "../../../engine/index.ts";
import { flattenParameters, initializeParameters, type ParameterSpec } from "../../../nn/index.ts";
import { smallNetwork } from "../training/smallRun.ts";

const specs = flattenParameters<ParameterSpec>(describeDenoiser(smallNetwork));
const device = await getDevice("wasm");
const drawn = initializeParameters(specs, foldIn(randomKey(1), 0));
/** All arrays as numbers of the host. */
const start = new Map<string, Float32Array>();
for (const [name, each] of Object.entries(drawn)) start.set(name, (await each.data()) as Float32Array);

/** An array that no snapshot moves. */
const still = "unet.enc.8x8_block0.conv_res0.weight";

/** Weights of the run after so many images: others at each time and length. */
function weightsAt(nimg: number, sigmaRel: number): Map<string, Tensor> {
  return new Map(
    Object.entries(specs).map(([name, { shape, role }], place) => {
      const first = start.get(name) ?? new Float32Array(0);
      const moved = first.map((x, i) => x + Math.sin(nimg * 0.37 + 31 * sigmaRel + place + 0.1 * i));
      return [name, tensor(role === "buffer" || name === still ? first : moved, { shape })];
    }),
  );
}

async function store(folder: Folder, nimg: number, sigmaRel: number, dtype: SnapshotDtype): Promise<void> {
  const info = { network: smallNetwork, nimg, sigmaRel, classNames: ["a", "b", "c", "d"] };
  await storeSnapshot(
    await snapshotPlace(folder, "network-snapshot", nimg, sigmaRel),
    info,
    weightsAt(nimg, sigmaRel),
    dtype,
  );
}

async function numbers(named: Readonly<Record<string, Tensor>>): Promise<Record<string, Float32Array>> {
  const read: Record<string, Float32Array> = {};
  for (const [name, each] of Object.entries(named)) read[name] = (await each.data()) as Float32Array;
  return read;
}

/** What `reconstruct` makes of the folder. */
async function reconstructed(folder: Folder, sigmaRel: number, nimg: number): Promise<Record<string, Float32Array>> {
  const [result] = await reconstruct(await snapshotsIn(folder), [powerProfile(nimg, sigmaRel)], { dtype: "F32" });
  assert.ok(result !== undefined, "nothing was made");
  return Object.fromEntries(
    Object.keys(specs).map((name) => {
      const found = result.weights.get(name);
      assert.ok(found !== undefined, name);
      return [name, toFloat32(found)];
    }),
  );
}

const runs = fc.record({
  // Beyond eight stored averages it takes several runs of the program.
  times: fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
  widths: fc.subarray([0.05, 0.1, 0.15], { minLength: 1 }),
  dtype: fc.constantFrom<SnapshotDtype>("F16", "F32"),
  wanted: fc.double({ min: 0.03, max: 0.25, noNaN: true }),
  choice: fc.nat(),
  kept: fc.nat({ max: 6 }),
});

describe("StoredAverages", () => {
  it("makes the bits that reconstruct makes, of any time and length, also of what was stored or removed since", async () => {
    await fc.assert(
      fc.asyncProperty(runs, async ({ times, widths, dtype, wanted, choice, kept }) => {
        const folder = memoryFolder();
        const sorted = times.map((time) => 1000 * time).toSorted((a, b) => a - b);
        // In any order: the first may come last.
        const [before, after] = [times.slice(0, kept), times.slice(kept)];
        for (const time of before) for (const width of widths) await store(folder, 1000 * time, width, dtype);
        const averages = await StoredAverages.open(folder, { device });
        try {
          assert.equal(averages.profiles.length, before.length * widths.length);
          for (const time of after) for (const width of widths) await store(folder, 1000 * time, width, dtype);
          const read = await averages.refresh();
          assert.equal(read, averages.profiles.length - keptOf(before, after) * widths.length);
          assert.deepEqual(averages.times, sorted);
          const nimg = sorted[choice % sorted.length] ?? 0;
          const expected = await reconstructed(folder, wanted, nimg);
          assert.deepEqual(await numbers(await averages.average(wanted, nimg)), expected);
          // The order of the arrays is the network's, as a denoiser's state has them.
          assert.deepEqual(Object.keys(await averages.average(wanted, nimg)), Object.keys(specs));
          if (sorted.length > 1) {
            for (const width of widths) {
              await (await snapshotPlace(folder, "network-snapshot", sorted[0] ?? 0, width)).remove();
            }
            await averages.refresh();
            assert.deepEqual(averages.times, sorted.slice(1));
            const last = sorted.at(-1) ?? 0;
            assert.deepEqual(await numbers(await averages.average(wanted)), await reconstructed(folder, wanted, last));
          }
        } finally {
          averages.dispose();
        }
      }),
      { numRuns: 12 },
    );
  });
});

/** Times that needn't be read again: all of those before, unless an earlier one came. */
function keptOf(before: readonly number[], after: readonly number[]): number {
  return Math.min(...after, Infinity) < Math.min(...before, Infinity) ? 0 : before.length;
}

describe("stored averages of one run", () => {
  const folder = memoryFolder("run");
  const times = [4000, 8000, 12000, 16000, 20000];
  const widths = [0.05, 0.1];
  const opened = (async () => {
    for (const time of times) for (const width of widths) await store(folder, time, width, "F16");
    return StoredAverages.open(folder, { device });
  })();

  it("say what they are and what they take", async () => {
    const averages = await opened;
    assert.deepEqual(averages.times, times);
    assert.deepEqual([averages.info.nimg, averages.info.sigmaRel, averages.info.network], [20000, 0.1, smallNetwork]);
    assert.deepEqual(averages.info.classNames, ["a", "b", "c", "d"]);
    const size = Object.values(specs)
      .filter(({ role }) => role !== "buffer")
      .reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0);
    assert.equal(averages.bytes, 10 * 4 * size);
    assert.equal(await averages.refresh(), 0, "nothing is new");
  });

  it("give a stored average itself where it is asked for", async () => {
    const averages = await opened;
    for (const [nimg, sigmaRel] of [
      [8000, 0.1],
      [20000, 0.05],
    ] as const) {
      const { coefficients, error } = averages.describeFit(sigmaRel, nimg);
      for (const share of coefficients) {
        const isIt = share.nimg === nimg && formatSigmaRel(share.sigmaRel ?? 0) === formatSigmaRel(sigmaRel);
        assert.ok(Math.abs(share.coefficient - (isIt ? 1 : 0)) < 1e-9, JSON.stringify(share));
      }
      assert.ok(error < 1e-12, `error ${error}`);
    }
  });

  it("draw what is wanted and what is made of them: the curves' difference is the error", async () => {
    const averages = await opened;
    for (const sigmaRel of [0.03, 0.08, 0.15, 0.25]) {
      const nimg = 16000;
      const points = 4000;
      const { times: drawn, target, fit, coefficients, error } = averages.describeFit(sigmaRel, nimg, points);
      assert.deepEqual([drawn[0], drawn.at(-1)], [0, nimg]);
      assert.ok(
        drawn.every((time, i) => i === 0 || time > (drawn[i - 1] ?? 0)),
        "times rise",
      );
      assert.deepEqual(
        coefficients.map((share) => [share.nimg, share.sigmaRel]),
        times.slice(0, 4).flatMap((time) => widths.map((width) => [time, width])),
      );
      const sum = coefficients.reduce((total, { coefficient }) => total + coefficient, 0);
      assert.ok(Math.abs(sum - 1) < 1e-9, `coefficients add up to ${sum}`);
      // By the trapezoid rule. Its error is h^2 / 12 times the integral of the second derivative, which for powers up to about 32 (sigma_rel
      // 0.03) on a scale of 1 is less than 32^2 times what is integrated: 1e-4 of it with 4000 points. Jumps have points on both sides.
      const integral = (of: (i: number) => number): number => {
        let total = 0;
        for (let i = 1; i < drawn.length; i++) {
          total += (((drawn[i] ?? 0) - (drawn[i - 1] ?? 0)) * (of(i) + of(i - 1))) / 2 / nimg;
        }
        return total;
      };
      assert.ok(Math.abs(integral((i) => target[i] ?? 0) - 1) < 1e-3, "the share of all times is 1");
      assert.ok(Math.abs(integral((i) => fit[i] ?? 0) - 1) < 1e-3, "so it is of the fit");
      const squared = integral((i) => ((fit[i] ?? 0) - (target[i] ?? 0)) ** 2);
      const norm = nimg * profileInnerProduct(powerProfile(nimg, sigmaRel), powerProfile(nimg, sigmaRel));
      assert.ok(Math.abs(squared / norm - error) < 1e-3 + 1e-2 * error, `${squared / norm} is not ${error}`);
      const at = Math.floor(drawn.length / 2);
      const density = nimg * profileDensity(powerProfile(nimg, sigmaRel), drawn[at] ?? 0);
      assert.equal(target[at], density);
    }
  });

  it("take their turns", async () => {
    const averages = await opened;
    const lengths = [0.04, 0.08, 0.12, 0.2];
    const [one, ...others] = await Promise.all(lengths.map((sigmaRel) => averages.average(sigmaRel)));
    const alone = [];
    for (const sigmaRel of lengths) alone.push(await numbers(await averages.average(sigmaRel)));
    assert.deepEqual(await Promise.all([one ?? {}, ...others].map(numbers)), alone);
  });

  it("end with their signal, and go on afterwards", async () => {
    const averages = await opened;
    const signal = AbortSignal.abort("enough");
    await assert.rejects(averages.average(0.1, undefined, signal), {
      code: "aborted",
      message: /averaging: the signal/,
    });
    await averages.average(0.1);
    await assert.rejects(StoredAverages.open(folder, { device, signal }), {
      code: "aborted",
      message: /reading stored/,
    });
  });

  it("refuse what there is none of", async () => {
    const averages = await opened;
    await assert.rejects(averages.average(0.1, 9000), {
      code: "value",
      message: /after 9000 images; the nearest are of 8000/,
    });
    await assert.rejects(averages.average(0.5), { code: "range" });
    const none = await StoredAverages.open(memoryFolder("empty"), { device });
    assert.deepEqual([none.times, none.bytes], [[], 0]);
    assert.throws(() => none.info, { code: "value", message: /^empty: there are no stored averages yet/ });
    await assert.rejects(none.average(0.1), { code: "value", message: /no stored averages yet/ });
    none.dispose();
  });

  it("writes the bytes that the command writes, which are no stored average", async () => {
    const disk = await mkdtemp(path.join(os.tmpdir(), "evenkeel-averages-"));
    try {
      const folder = diskFolder(disk);
      for (const [nimg, width] of [
        [1000, 0.05],
        [1000, 0.1],
        [2000, 0.05],
        [3000, 0.1],
      ] as const) {
        await store(folder, nimg, width, "F16");
      }
      const averages = await StoredAverages.open(folder, { device });
      for (const [nimg, sigmaRel, dtype] of [
        [2000, 0.07, "F16"],
        [3000, 0.2, "F32"],
      ] as const) {
        const file = path.join(disk, `phema-${nimg}.safetensors`);
        const snapshots = await snapshotsIn(folder);
        await reconstructFiles(snapshots, [{ profile: powerProfile(nimg, sigmaRel), path: file }], { dtype });
        const written = memoryFolder().file("average.safetensors");
        await averages.write(written, sigmaRel, nimg, dtype);
        assert.deepEqual(Buffer.from(await readWhole(written)), await readFile(file));
      }
      await averages.write(folder.file("network-snapshot-0000003-0.080.safetensors"), 0.08);
      const before = averages.profiles;
      await averages.refresh();
      assert.deepEqual(averages.profiles, before);
      averages.dispose();
    } finally {
      await rm(disk, { recursive: true });
    }
  });

  it("stay as they were when a new one is damaged", async () => {
    const folder = memoryFolder();
    await store(folder, 1000, 0.05, "F32");
    const averages = await StoredAverages.open(folder, { device });
    const before = await numbers(await averages.average(0.05));
    const info = { network: smallNetwork, nimg: 2000, sigmaRel: 0.05, classNames: null };
    const place = await snapshotPlace(folder, "network-snapshot", 2000, 0.05);
    const bad = weightsAt(2000, 0.05);
    const [name = "", first] = [...bad].find(([name]) => name.endsWith(".weight")) ?? [];
    bad.set(name, tensor(new Float32Array(first?.size ?? 0).fill(NaN), { shape: first?.shape ?? [] }));
    await storeSnapshot(place, info, bad, "F32");
    await assert.rejects(averages.refresh(), { code: "file", message: /is NaN; its training had failed by then/ });
    assert.deepEqual(averages.times, [1000]);
    assert.deepEqual(await numbers(await averages.average(0.05)), before);
    averages.dispose();
  });
});

describe("guideAverage", () => {
  it("is of a quarter of the training, as near as there is, and longer", () => {
    assert.deepEqual(guideAverage([10, 20, 30, 40, 80], { nimg: 80, sigmaRel: 0.1 }), {
      nimg: 20,
      sigmaRel: 0.15000000000000002,
    });
    assert.deepEqual(guideAverage([10, 20, 80], { nimg: 20, sigmaRel: 0.2 }), { nimg: 10, sigmaRel: 0.25 });
    assert.equal(guideAverage([20, 30], { nimg: 20, sigmaRel: 0.1 }), null);
  });
});
