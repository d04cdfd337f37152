/** `evenkeel export --to onnx`: what other programs make with the files is what `evenkeel sample` makes. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { decode } from "fast-png";
import { exportToOnnx } from "../../../cli/export/onnx.ts";
import { findNetwork } from "../../../cli/findNetwork.ts";
import {
  denoise,
  type DenoiserParameters,
  describeDenoiser,
  type NetworkConfig,
} from "../../../diffusion/network/index.ts";
import { configurationNetwork } from "../../../diffusion/presets/index.ts";
import { generateImages, type GenerateOptions, toPixels } from "../../../diffusion/sample/index.ts";
import { writeSnapshot } from "../../../diffusion/snapshot/node.ts";
import { compile, getDevice, randomKey, randomNormal, type Tensor, tensor, treeLeaves } from "../../../engine/index.ts";
import {
  configurationNames,
  flattenParameters,
  initializeParameters,
  nestParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { exportOnnx } from "../../../onnx/index.ts";
import { withOnnxModel } from "../../support/onnxRuntime.ts";

const root = path.resolve(import.meta.dirname, "../../..");
const folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-onnx-"));
after(() => rmSync(folder, { recursive: true }));
// Where the written program finds onnxruntime.
symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));

/** A network whose zeros, such as last gains, are numbers, so that all of it matters. */
async function awake(config: NetworkConfig, seed: number): Promise<Record<string, Tensor>> {
  const drawn = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(config)), randomKey(seed));
  const weights: Record<string, Tensor> = {};
  for (const [name, values] of Object.entries(drawn)) {
    const data = Float32Array.from(await values.data());
    const isZero = data.every((value) => value === 0);
    weights[name] = tensor(isZero ? data.map((_, i) => 0.3 + 0.2 * Math.sin(i)) : data, { shape: values.shape });
  }
  return weights;
}

const small = { imageResolution: 8, modelChannels: 8, channelMult: [1, 2], numBlocks: 1, attnResolutions: [4] };

async function store(name: string, config: NetworkConfig, seed: number, nimg = 8000, sigmaRel = 0.1): Promise<string> {
  const file = path.join(folder, name);
  const info = {
    network: config,
    nimg,
    sigmaRel,
    classNames: config.unet.labelDim === 0 ? null : ["cats", "dogs", "mice"],
  };
  await writeSnapshot(file, info, new Map(Object.entries(await awake(config, seed))), "F32");
  return file;
}

/** The largest difference of two lists of numbers. */
function distance(one: ArrayLike<number>, other: ArrayLike<number>): number {
  assert.equal(one.length, other.length);
  return Array.from(one).reduce((most, value, i) => Math.max(most, Math.abs(value - (other[i] ?? NaN))), 0);
}

describe("the denoiser of every configuration", async () => {
  const oracle = await getDevice("oracle");
  // Derived bounds say nothing after so many layers: these are ten times what was measured. A sum that is rounded otherwise may
  // change which 16-bit number is the nearest, by 2^-11 of it.
  const kinds = [
    { labelDim: 0, activations: "float32", bound: 4e-5 },
    { labelDim: 3, activations: "float32", bound: 4e-5 },
    { labelDim: 3, activations: "float16", bound: 2e-2 },
  ] as const;
  for (const letter of configurationNames) {
    for (const { labelDim, activations, bound } of kinds) {
      it(`${letter}, ${labelDim} labels, ${activations}: the engine's answers for any number of images`, async () => {
        const config = configurationNetwork(letter, { ...small, imageChannels: 2, labelDim, activations });
        const weights = await awake(config, 1);
        const parameters = nestParameters<DenoiserParameters>(weights);
        const formula = (x: Tensor, sigma: Tensor, given: readonly Tensor[]): Tensor =>
          denoise(config, parameters, x, sigma, given[0] ?? null);
        const argsOf = (count: number): [Tensor, Tensor, readonly Tensor[]] => {
          const x = randomNormal(randomKey(count), [count, 2, 8, 8]);
          const sigma = tensor([0.01, 2, 40].slice(0, count));
          const labels = Float32Array.from({ length: count * labelDim }, (_, i) => Number(i % (labelDim + 1) === 0));
          return [x, sigma, labelDim === 0 ? [] : [tensor(labels, { shape: [count, labelDim] })]];
        };
        const inputs = ["x", "sigma", ...(labelDim === 0 ? [] : ["labels"])];
        const file = exportOnnx(formula, argsOf(2), { inputs, outputs: ["y"], weights, free: { name: "N", inputs } });
        const reference = compile(formula, { device: oracle });
        for (const optimization of ["all", "disabled"] as const) {
          await withOnnxModel(
            file,
            async (run) => {
              for (const count of [1, 3]) {
                const args = argsOf(count);
                const arrays = await Promise.all(
                  treeLeaves(args).map(async (leaf, i) => {
                    const { dtype, shape } = leaf.tensor;
                    return [inputs[i] ?? "", { dtype, shape, data: await leaf.tensor.data() }] as const;
                  }),
                );
                const { y } = await run(Object.fromEntries(arrays));
                const wanted = await (await reference(...args)).data("f32");
                const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
                assert.ok(distance(y?.data ?? [], wanted) <= bound * largest, `${distance(y?.data ?? [], wanted)}`);
              }
            },
            { optimization },
          );
        }
        reference.dispose();
      });
    }
  }
});

describe("evenkeel export --to onnx", async () => {
  const classes = configurationNetwork("G", { ...small, imageChannels: 3, labelDim: 3 });
  const net = await store("net.safetensors", classes, 1);
  const weaker = await store("weaker.safetensors", classes, 2);
  const greyNetwork = configurationNetwork("G", { ...small, imageChannels: 1, labelDim: 0 });
  const grey = await store("grey.safetensors", greyNetwork, 3);
  const device = await getDevice("wasm");
  const said: string[] = [];
  const print = (line: string): void => void said.push(line);

  async function sampled(
    options: Omit<GenerateOptions, "denoiser" | "imageShape">,
    file: string,
  ): Promise<Float32Array> {
    const found = await findNetwork(file);
    const { config } = found;
    const network = await found.load(device);
    const { denoiser } = network;
    const { imageChannels, imageResolution, labelDim } = config.unet;
    const imageShape = [imageChannels, imageResolution, imageResolution];
    const all: number[] = [];
    for await (const { images } of generateImages({ ...options, denoiser, imageShape, labelDim })) all.push(...images);
    network.dispose();
    return Float32Array.from(all);
  }

  const run = (outdir: string, ...args: readonly string[]): void => {
    execFileSync(process.execPath, [path.join(outdir, "sample.mjs"), "--outdir", outdir, ...args], { stdio: "pipe" });
  };
  const rawImages = (outdir: string): number[] =>
    readdirSync(outdir)
      .filter((name) => name.endsWith(".f32"))
      .sort()
      .flatMap((name) => {
        const { buffer, byteOffset, byteLength } = new Uint8Array(readFileSync(path.join(outdir, name)));
        return [...new Float32Array(buffer, byteOffset, byteLength / 4)];
      });

  it("writes a program that makes the images of the same seeds, and their PNG files", async () => {
    const outdir = path.join(folder, "plain");
    await exportToOnnx({ network: net, outdir, solver: "heun" }, print);
    assert.deepEqual(readdirSync(outdir).sort(), ["denoiser.onnx", "noise.onnx", "sample.mjs", "step.onnx"]);
    assert.equal(said.length, 4);
    // What is there stays as it is, its own files of before, too.
    const again = exportToOnnx({ network: grey, outdir, solver: "heun" }, print);
    await assert.rejects(again, {
      code: "file",
      message: /plain holds files already, such as .*wanted an empty folder/,
    });
    assert.equal(said.length, 4);
    const seeds = [0, 7, 2 ** 33 + 1];
    const wanted = await sampled({ seeds, steps: 6, labelOf: 1 }, net);
    const options = ["--seeds", seeds.join(), "--steps", "6", "--class", "dogs"];
    run(outdir, ...options, "--raw");
    assert.ok(distance(rawImages(outdir), wanted) < 1e-4, `${distance(rawImages(outdir), wanted)}`);
    run(outdir, ...options);
    const { width, height, channels, data } = decode(readFileSync(path.join(outdir, "000007.png")));
    assert.deepEqual([width, height, channels], [8, 8, 3]);
    const pixels = toPixels(wanted.slice(192, 384));
    const rows = Uint8Array.from({ length: 192 }, (_, i) => pixels[(i % 3) * 64 + Math.floor(i / 3)] ?? 0);
    assert.ok(distance(data, rows) <= 1);
  });

  it("writes a program that ends in a line and a code if it is asked for wrongly, and makes its folder", async () => {
    const outdir = path.join(folder, "asked");
    await exportToOnnx({ network: net, outdir, solver: "euler" }, print);
    const ending = (...args: readonly string[]) => {
      const program = path.join(outdir, "sample.mjs");
      const { status, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });
      return { status, lines: stderr.trimEnd().split("\n") };
    };
    for (const [args, words] of [
      [["--seeds", "a"], /^sample\.mjs: "a" is no number\.$/],
      [["--steps", "0"], /^sample\.mjs: --steps: one step or more are needed\.$/],
      [["--class", "99"], /^sample\.mjs: there is no class 99; there are 0 to \d+\.$/],
      [["--guidance", "2"], /^sample\.mjs: step\.onnx has no guide: export it with --gnet\.$/],
      [["--guidance", "Infinity"], /^sample\.mjs: --guidance Infinity is no weight\.$/],
      [["--seeds", "1,-2"], /^sample\.mjs: --seeds: -2 is no whole number from 0\.$/],
      [["--seeds", "1.5"], /^sample\.mjs: --seeds: 1\.5 is no whole number from 0\.$/],
      [["--interval", "1"], /^sample\.mjs: --interval 1: wanted two noise levels/],
      [["--foo"], /^sample\.mjs: Unknown option '--foo'/],
    ] as const) {
      const { status, lines } = ending("--outdir", path.join(folder, "nowhere"), ...args);
      assert.deepEqual([status, lines.length], [2, 1], lines.join("\n"));
      assert.match(lines[0] ?? "", words);
    }
    // Nothing was begun for any of them.
    assert.ok(!existsSync(path.join(folder, "nowhere")));
    const images = path.join(folder, "images", "within");
    assert.equal(ending("--outdir", images, "--seeds", "3", "--steps", "1").status, 0);
    assert.deepEqual(readdirSync(images), ["000003.png"]);
    // A file in the folder's place.
    assert.equal(ending("--outdir", path.join(images, "000003.png")).status, 1);
  });

  const guides = [
    { what: "by the network itself without labels", gnet: "self", file: net, labels: "none", solver: "heun" },
    { what: "by another network, with Euler's rule", gnet: weaker, file: weaker, labels: "same", solver: "euler" },
  ] as const;
  for (const { what, gnet, file, labels, solver } of guides) {
    it(`guides ${what}, at some noise levels`, async () => {
      const outdir = path.join(folder, `guided-${solver}`);
      said.length = 0;
      await exportToOnnx({ network: net, outdir, gnet, solver }, print);
      // Such files say nothing of their training.
      assert.equal(
        said.filter((line) => /doesn't say whether .*label dropout/.test(line)).length,
        gnet === "self" ? 1 : 0,
      );
      const guide = await (await findNetwork(file)).load(device);
      const wanted = await sampled(
        {
          seeds: [3],
          steps: 6,
          labelOf: 2,
          solver,
          guides: [{ denoiser: guide.denoiser, weight: 2.5, labels }],
          interval: [0.1, 20],
        },
        net,
      );
      guide.dispose();
      run(outdir, ..."--seeds 3 --steps 6 --class 2 --guidance 2.5 --interval 0.1,20 --raw".split(" "));
      assert.ok(distance(rawImages(outdir), wanted) < 1e-4, `${distance(rawImages(outdir), wanted)}`);
      const unguided = await sampled({ seeds: [3], steps: 6, labelOf: 2, solver }, net);
      assert.ok(distance(wanted, unguided) > 1e-2);
    });
  }

  it("takes networks without labels and of one channel, and the newest snapshot of a folder", async () => {
    const outdir = path.join(folder, "grey");
    mkdirSync(path.join(folder, "run"));
    const names = ["run/network-snapshot-0000004-0.100.safetensors", "run/network-snapshot-0000008-0.100.safetensors"];
    const [, newest = ""] = await Promise.all(names.map((name, i) => store(name, greyNetwork, i, 4000 * (i + 1))));
    said.length = 0;
    await exportToOnnx({ network: path.join(folder, "run"), outdir, solver: "heun" }, print);
    assert.match(said[0] ?? "", /network-snapshot-0000008-0\.100\.safetensors: the newest snapshot$/);
    run(outdir, "--seeds", "5", "--steps", "4", "--raw");
    const wanted = await sampled({ seeds: [5], steps: 4 }, newest);
    assert.ok(distance(rawImages(outdir), wanted) < 1e-4);
  });

  it("asks which average is meant, and refuses guides that don't fit", async () => {
    mkdirSync(path.join(folder, "averages"));
    for (const width of [0.05, 0.1]) {
      await store(`averages/network-snapshot-0000008-${width.toFixed(3)}.safetensors`, greyNetwork, 3, 8000, width);
    }
    const to = path.join(folder, "never");
    const refused = (options: { network: string; gnet?: string }, message: RegExp): Promise<void> =>
      assert.rejects(exportToOnnx({ ...options, outdir: to, solver: "heun" }, print), message);
    await refused(
      { network: path.join(folder, "averages") },
      /several averages of its last images: name one of .*0\.050.*0\.100/,
    );
    await refused({ network: folder }, /holds no snapshot|name/);
    await refused({ network: net, gnet: grey }, /must be alike/);
    await refused({ network: grey, gnet: "self" }, /takes no labels/);
    assert.ok(!existsSync(to));
  });
});
