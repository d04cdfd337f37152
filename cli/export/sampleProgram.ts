/** The program that is written beside exported models: it needs onnxruntime alone. */
import type { UNetConfig } from "../../nn/index.ts";

/** What the program has to know of the models. */
export type SampledModels = {
  readonly unet: Pick<UNetConfig, "imageChannels" | "imageResolution" | "labelDim">;
  readonly isGuided: boolean;
  readonly classNames: readonly string[] | null;
};

/**
 * Its source. The noise is that of the seeds, so that its images are those of `evenkeel sample`, but for rounding.
 */
export function sampleProgram({ unet, isGuided, classNames }: SampledModels): string {
  const { imageChannels, imageResolution, labelDim } = unet;
  return `// Makes images with the models beside it, one a seed: node sample.mjs --seeds 0,1,2${labelDim > 0 ? " --class 0" : ""}
// Needs onnxruntime: npm install onnxruntime-web, which runs anywhere, or onnxruntime-node, which is faster; then name it here.
import * as ort from "onnxruntime-web";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { crc32, deflateSync } from "node:zlib";

// 2 for what was asked for wrongly, 1 for what went wrong.
process.on("uncaughtException", (error) => {
  console.error("sample.mjs: " + error.message);
  process.exit(error.isUsage || String(error.code).startsWith("ERR_PARSE_ARGS") ? 2 : 1);
});
const refuse = (problem) => {
  throw Object.assign(new Error(problem), { isUsage: true });
};

const channels = ${imageChannels};
const size = ${imageResolution};
const labelDim = ${labelDim};
const isGuided = ${isGuided};
const classNames = ${JSON.stringify(classNames)};

const { values: options } = parseArgs({
  options: {
    seeds: { type: "string", default: "0,1,2,3" },
    class: { type: "string", default: "0" }, // its number or name; of networks without classes it isn't looked at
    steps: { type: "string", default: "32" },
    guidance: { type: "string", default: "1" }, // 1 is none; other weights need a model that was exported with a guide
    interval: { type: "string", default: "0,Infinity" }, // noise levels (lo, hi] of guidance
    outdir: { type: "string", default: "." },
    raw: { type: "boolean", default: false }, // SSSSSS.f32, float32 [C, H, W], instead of PNG files
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log("node sample.mjs --seeds 0,1,2 --class 0 --steps 32 --guidance 1 --interval 0,Infinity --outdir . [--raw]");
  process.exit();
}
const numberOf = (text) => {
  if (text.trim() !== "" && !Number.isNaN(Number(text))) return Number(text);
  return refuse(JSON.stringify(text) + " is no number.");
};
const guidance = numberOf(options.guidance);
if (!Number.isFinite(guidance)) refuse("--guidance " + options.guidance + " is no weight.");
if (guidance !== 1 && !isGuided) refuse("step.onnx has no guide: export it with --gnet.");
if (!(Number.isInteger(numberOf(options.steps)) && numberOf(options.steps) >= 1)) refuse("--steps: one step or more are needed.");
if (!options.raw && channels !== 1 && channels !== 3) refuse(channels + " channels are no picture: use --raw.");
const seeds = options.seeds.split(",").map(numberOf);
for (const seed of seeds) if (!(Number.isSafeInteger(seed) && seed >= 0)) refuse("--seeds: " + seed + " is no whole number from 0.");
const bounds = options.interval.split(",").map(numberOf);
if (bounds.length !== 2) refuse("--interval " + options.interval + ": wanted two noise levels, such as 0.28,2.9.");
const [lo, hi] = bounds;
const named = classNames?.indexOf(options.class) ?? -1;
const place = labelDim === 0 ? 0 : named < 0 ? numberOf(options.class) : named;
if (labelDim > 0 && !(Number.isInteger(place) && place >= 0 && place < labelDim)) refuse("there is no class " + options.class + "; there are 0 to " + (labelDim - 1) + ".");

// What is asked for is right: from here on something is done.
mkdirSync(options.outdir, { recursive: true });
const open = (name) => ort.InferenceSession.create(readFileSync(new URL(name, import.meta.url)));
const [noiseModel, stepModel] = [await open("noise.onnx"), await open("step.onnx")];

// Noise levels from 80 to 0.002, and 0: Karras et al. 2022, Eq. 5.
const [steps, highest, lowest, rho] = [numberOf(options.steps), 80, 0.002, 7];
const [first, last] = [highest ** (1 / rho), lowest ** (1 / rho)];
const levels = Array.from({ length: steps }, (_, i) => (first + (i / Math.max(1, steps - 1)) * (last - first)) ** rho);
levels.push(0);

const number = (value) => new ort.Tensor("float32", [value], []);
const labels = new Float32Array(seeds.length * labelDim);
if (labelDim > 0) seeds.forEach((_, i) => (labels[i * labelDim + place] = 1));

const keys = Uint32Array.from(seeds.flatMap((seed) => [Math.floor(seed / 2 ** 32), seed % 2 ** 32]));
const { noise } = await noiseModel.run({ keys: new ort.Tensor("uint32", keys, [seeds.length, 2]) });
let x = new ort.Tensor("float32", noise.data.map((value) => value * levels[0]), noise.dims);
for (let step = 0; step < steps; step++) {
  const [t, tNext] = [levels[step], levels[step + 1]];
  const weight = t > lo && t <= hi ? guidance : 1;
  const { xNext } = await stepModel.run({
    x,
    t: number(t),
    tNext: number(tNext),
    ...(isGuided ? { guidance: number(weight) } : {}),
    ...(labelDim > 0 ? { labels: new ort.Tensor("float32", labels, [seeds.length, labelDim]) } : {}),
  });
  x = xNext;
}

seeds.forEach((seed, i) => {
  const image = x.data.subarray(i * channels * size * size, (i + 1) * channels * size * size);
  const file = options.outdir + "/" + String(seed).padStart(6, "0");
  if (options.raw) writeFileSync(file + ".f32", new Uint8Array(image.slice().buffer));
  else writeFileSync(file + ".png", png(image));
});

// A PNG file of an image in [-1, 1], channels first.
function png(image) {
  const rows = Buffer.alloc(size * (1 + size * channels));
  for (let y = 0; y < size; y++)
    for (let k = 0; k < size * channels; k++) {
      const value = image[((k % channels) * size + y) * size + Math.floor(k / channels)];
      rows[y * (1 + size * channels) + 1 + k] = Math.min(255, Math.max(0, Math.floor(value * 127.5 + 128)));
    }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, channels === 1 ? 0 : 2], 8);
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const all = Buffer.alloc(body.length + 8);
    all.writeUInt32BE(data.length, 0);
    all.set(body, 4);
    all.writeUInt32BE(crc32(body), body.length + 4);
    return all;
  };
  const start = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([start, chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}
`;
}
