/** `evenkeel export --to onnx`: a network as models that other programs run, and a program that makes images with them. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { snapshotsIn } from "../../diffusion/ema/index.ts";
import {
  denoise,
  type DenoiserParameters,
  type DenoisingFormula,
  type NetworkConfig,
  tensorsOfWeights,
} from "../../diffusion/network/index.ts";
import {
  type Guide,
  guideLabels,
  pushedAway,
  samplerStep,
  type Solver,
  startNoise,
} from "../../diffusion/sample/index.ts";
import type { FoundSnapshot } from "../../diffusion/snapshot/node.ts";
import { describeBytes, EvenkeelError, scalar, type Shape, type Tensor, zeros } from "../../engine/index.ts";
import { diskFolder, makeFolder, writeFileAtomically } from "../../engine/io/node.ts";
import { nestParameters } from "../../nn/index.ts";
import { exportOnnx, type NamedTensors } from "../../onnx/index.ts";
import { findStored } from "../findNetwork.ts";
import { dropoutGuide, selfGuide } from "../sampleSettings.ts";
import { untrainedNotes } from "../trainedFor.ts";
import { requireEmpty } from "./requireEmpty.ts";
import { sampleProgram } from "./sampleProgram.ts";

/** What is asked for. */
export type OnnxExport = {
  /** A snapshot, or a run's folder. */
  readonly network: string;
  readonly outdir: string;
  /** A file, or `self`. */
  readonly gnet?: string | undefined;
  readonly solver: Solver;
};

/** A network with its weights, by the names that they have in the file. */
type Weighted = { readonly formula: DenoisingFormula; readonly weights: NamedTensors };

/** A network that guides, with the labels that it is given. */
type Guiding = Weighted & Pick<Guide, "labels">;

/**
 * Writes `denoiser.onnx`, `step.onnx`, `noise.onnx` and `sample.mjs`, which uses them.
 * @throws EvenkeelError `file` for what can't be read or written and for a folder that has files, `value` for a folder of which it isn't clear which snapshot is meant, or
 * networks that don't fit each other.
 */
export async function exportToOnnx(
  { network, outdir, gnet, solver }: OnnxExport,
  print: (line: string) => void,
): Promise<void> {
  await requireEmpty(outdir);
  const file = await snapshotOf(network);
  if (file !== network) print(`${file}: the newest snapshot`);
  const found = await findStored(file);
  const { unet } = found.network;
  const main = await weighted(found, file, "");
  const { trained = null } = found;
  for (const line of untrainedNotes({ net: file, trained, guidesItself: gnet === selfGuide, solver })) print(line);
  const guide = gnet === undefined ? null : await guideOf(gnet, file, found, main);
  const imageShape = [unet.imageChannels, unet.imageResolution, unet.imageResolution];
  const given: Given = {
    images: zeros([1, ...imageShape]),
    labels: unet.labelDim === 0 ? [] : [zeros([1, unet.labelDim])],
  };
  await makeFolder(outdir);
  const write = async (name: string, bytes: Uint8Array, what: string): Promise<void> => {
    const target = path.join(outdir, name);
    await writeFileAtomically(target, (sink) => sink.write(bytes));
    print(`${target}: ${what}, ${describeBytes(bytes.length)}`);
  };
  await write("denoiser.onnx", denoiserModel(main, given), "D(x; sigma)");
  const rule = `a step from noise level t to tNext by ${nameOfSolver[solver]}`;
  await write("step.onnx", stepModel(main, guide, solver, given), rule);
  await write("noise.onnx", noiseModel(imageShape, found.network.noiseDf), "the noise that seeds stand for");
  const program = sampleProgram({ unet, isGuided: guide !== null, classNames: found.classNames });
  await write("sample.mjs", new TextEncoder().encode(program), "makes images: node sample.mjs --help");
}

/** What models are given: an image, and its label if they take some. */
type Given = { readonly images: Tensor; readonly labels: readonly Tensor[] };

function denoiserModel(main: Weighted, { images, labels }: Given): Uint8Array {
  const inputs = ["x", "sigma", ...labels.map(() => "labels")];
  return exportOnnx(
    (x: Tensor, sigma: Tensor, own: readonly Tensor[]) => main.formula(x, sigma, own[0] ?? null, null),
    [images, zeros([1]), labels],
    { inputs, outputs: ["denoised"], weights: main.weights, free: { name: "N", inputs } },
  );
}

function stepModel(main: Weighted, guide: Guiding | null, solver: Solver, { images, labels }: Given): Uint8Array {
  const labelNames = labels.map(() => "labels");
  const weightNames = guide === null ? [] : ["guidance"];
  return exportOnnx(
    (x: Tensor, t: Tensor, tNext: Tensor, [weight]: readonly Tensor[], [own = null]: readonly (Tensor | null)[]) => {
      const answer = (at: Tensor, sigma: Tensor): Tensor => {
        const denoised = main.formula(at, sigma, own, null);
        if (guide === null || weight === undefined) return denoised;
        const guiding = guide.formula(at, sigma, guide.labels === "same" ? own : null, null);
        return pushedAway(denoised, denoised, guiding, weight.subtract(1));
      };
      return samplerStep(answer, x, t, tNext, solver);
    },
    [images, scalar(1), scalar(1), weightNames.map(() => scalar(1)), labels],
    {
      inputs: ["x", "t", "tNext", ...weightNames, ...labelNames],
      outputs: ["xNext"],
      weights: { ...main.weights, ...guide?.weights },
      free: { name: "N", inputs: ["x", ...labelNames] },
    },
  );
}

const noiseModel = (imageShape: Shape, noiseDf: number): Uint8Array =>
  exportOnnx((keys: Tensor) => startNoise(keys, imageShape, noiseDf), [zeros([1, 2], "u32")], {
    inputs: ["keys"],
    outputs: ["noise"],
    free: { name: "N", inputs: ["keys"] },
  });

const nameOfSolver: { readonly [K in Solver]: string } = { heun: "Heun's rule", euler: "Euler's rule" };

/** A file as it is; of a folder the newest snapshot. @throws EvenkeelError `value` if there are several, `file` if there is none. */
async function snapshotOf(place: string): Promise<string> {
  const entry = await stat(place).catch(() => null);
  if (entry?.isDirectory() !== true) return place;
  const snapshots = await snapshotsIn(diskFolder(place));
  const newest = Math.max(...snapshots.map(({ profile }) => profile.nimg));
  const [first, ...others] = snapshots.filter(({ profile }) => profile.nimg === newest);
  if (first === undefined) {
    throw new EvenkeelError("file", `export: ${place} holds no snapshot. Name a run's folder, or a file.`);
  }
  if (others.length === 0) return first.path;
  const names = [first, ...others].map((each) => each.path).join(", ");
  throw new EvenkeelError("value", `export: ${place} has several averages of its last images: name one of ${names}.`);
}

async function weighted(found: FoundSnapshot, file: string, prefix: string): Promise<Weighted> {
  const weights = tensorsOfWeights(found.network, await found.readWeights(), file);
  return {
    formula: formulaOf(found.network, weights),
    weights: Object.fromEntries(Object.entries(weights).map(([name, values]) => [`${prefix}${name}`, values])),
  };
}

function formulaOf(config: NetworkConfig, weights: NamedTensors): DenoisingFormula {
  const parameters = nestParameters<DenoiserParameters>(weights);
  return (x, sigma, labels) => denoise(config, parameters, x, sigma, labels);
}

/** The network that guides, which may be the main one. */
async function guideOf(gnet: string, file: string, found: FoundSnapshot, main: Weighted): Promise<Guiding> {
  const named = { name: file, config: found.network };
  if (gnet === selfGuide) return { ...main, weights: {}, labels: guideLabels(named, selfGuide) };
  if (gnet === dropoutGuide) {
    throw new EvenkeelError(
      "value",
      `export: a guide "${dropoutGuide}" needs masks of its own for every answer, which models don't have. Name a network, or "${selfGuide}".`,
    );
  }
  const other = await findStored(gnet);
  const labels = guideLabels(named, { name: gnet, config: other.network });
  return { ...(await weighted(other, gnet, "guide.")), labels };
}
