import * as z from "zod";
import { type Device, EvenkeelError, permute, type Tensor, vjp } from "../../engine/index.ts";
import { toFloat32, toFloat64 } from "../../engine/io/index.ts";
import { forceNormalize, mpCat, mpConv, mpFourier, mpSilu, mpSum, normalize, resample } from "../../nn/index.ts";
import { createDataset, gatherBatch } from "../data/index.ts";
import { toPixels } from "../sample/index.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { evaluateOn } from "./evaluateOn.ts";
import { type Fixture, parseOptions } from "./fixture.ts";
import type { Kind } from "./kind.ts";

/** Remarks that say nothing of how to compute. Frequencies are stored with their bandwidth in them. */
const remarks = {
  note: z.string().optional(),
  input_scale: z.number().optional(),
  bandwidth: z.number().optional(),
};
const wholeNumber = z.number().int().nonnegative();
/** An axis as Python counts them: from the end if it is negative. */
const axis = z.number().int();
const weightOfB = z.number().default(0.5);

/** Options with the reference's defaults; sizes that a tensor has as well may be left out. */
const primitive = z.discriminatedUnion("op", [
  z.strictObject({
    op: z.literal("normalize"),
    dim: z.union([z.null(), axis, z.array(axis)]).default(null),
    eps: z.number().default(1e-4),
    ...remarks,
  }),
  z.strictObject({ op: z.literal("mp_silu"), ...remarks }),
  z.strictObject({ op: z.literal("mp_sum"), t: weightOfB, ...remarks }),
  z.strictObject({ op: z.literal("mp_cat"), dim: axis.default(1), t: weightOfB, ...remarks }),
  z.strictObject({
    op: z.literal("resample"),
    mode: z.enum(["keep", "down", "up"]).default("keep"),
    filter: z.array(z.number()).default([1, 1]),
    ...remarks,
  }),
  z.strictObject({ op: z.literal("mp_fourier"), num_channels: wholeNumber.optional(), ...remarks }),
  z.strictObject({
    op: z.literal("mp_conv"),
    in_channels: wholeNumber.optional(),
    out_channels: wholeNumber.optional(),
    kernel: z.array(wholeNumber).optional(),
    // As PyTorch's modules are unless they are told.
    training: z.boolean().default(true),
    gain: z.union([z.number(), z.literal("param")]).default(1),
    ...remarks,
  }),
  z.strictObject({ op: z.literal("rgb_codec"), ...remarks }),
]);

type Primitive = z.infer<typeof primitive>;
type Inputs = Readonly<Record<string, Tensor>>;

/** A primitive as a function of the inputs that have gradients; the others are constants of it. */
type Application = {
  readonly inputs: readonly string[];
  readonly apply: (inputs: Inputs) => Tensor;
  /** What inputs are replaced by before, outside of the gradient. */
  readonly before?: (inputs: Inputs) => Inputs;
};

/** Axes counted from the start. */
const fromStart = (axes: number | readonly number[], rank: number): number[] =>
  [axes].flat().map((each) => (each < 0 ? each + rank : each));

/** The concatenation along any axis: ours is along the second. */
function mpCatAlong(a: Tensor, b: Tensor, along: number, t: number): Tensor {
  const [place = 1] = fromStart(along, a.rank);
  const order = Array.from({ length: a.rank }, (_, i) => (i === 1 ? place : i === place ? 1 : i));
  return place === 1 ? mpCat(a, b, t) : permute(mpCat(permute(a, order), permute(b, order), t), order);
}

/** @throws EvenkeelError `file` unless the weight has the sizes that are given. */
function requireWeight(fixture: Fixture, name: string, options: Extract<Primitive, { op: "mp_conv" }>): void {
  const { shape } = fixture.stored(`${name}/weight`);
  const [outChannels, inChannels, ...kernel] = shape;
  const expected = [
    options.out_channels ?? outChannels,
    options.in_channels ?? inChannels,
    ...(options.kernel ?? kernel),
  ];
  if (shape.join() !== expected.join()) {
    throw new EvenkeelError("file", `its weight is not [${expected.join(", ")}], as its options have it.`);
  }
}

function application(options: Exclude<Primitive, { op: "rgb_codec" }>, fixture: Fixture, name: string): Application {
  // The names are those that `inputs` lists.
  const of = (inputs: Inputs, input: string): Tensor => inputs[input] as Tensor;
  switch (options.op) {
    case "normalize": {
      const { dim, eps } = options;
      const apply = (x: Tensor): Tensor => normalize(x, dim === null ? undefined : fromStart(dim, x.rank), eps);
      return { inputs: ["x"], apply: (inputs) => apply(of(inputs, "x")) };
    }
    case "mp_silu":
      return { inputs: ["x"], apply: (inputs) => mpSilu(of(inputs, "x")) };
    case "mp_sum":
      return { inputs: ["a", "b"], apply: (inputs) => mpSum(of(inputs, "a"), of(inputs, "b"), options.t) };
    case "mp_cat": {
      const { dim, t } = options;
      return { inputs: ["a", "b"], apply: (inputs) => mpCatAlong(of(inputs, "a"), of(inputs, "b"), dim, t) };
    }
    case "resample":
      return { inputs: ["x"], apply: (inputs) => resample(of(inputs, "x"), options.mode, options.filter) };
    case "mp_fourier": {
      const channels = [options.num_channels ?? fixture.stored(`${name}/freqs`).data.length];
      const features = {
        freqs: fixture.tensor(`${name}/freqs`, channels),
        phases: fixture.tensor(`${name}/phases`, channels),
      };
      return { inputs: ["x"], apply: (inputs) => mpFourier(of(inputs, "x"), features) };
    }
    case "mp_conv": {
      const { gain, training } = options;
      requireWeight(fixture, name, options);
      return {
        inputs: ["x", "weight", ...(gain === "param" ? ["gain"] : [])],
        apply: (inputs) => mpConv(of(inputs, "x"), of(inputs, "weight"), gain === "param" ? of(inputs, "gain") : gain),
        before: (inputs) => {
          const weight = of(inputs, "weight");
          // In evaluation a call leaves it as it is.
          return { weight: training ? forceNormalize(weight) : weight };
        },
      };
    }
  }
}

/** What a case is given; everything else in it was computed. */
const isInput = (tensor: string): boolean => /^(x|a|b|G|freqs|phases|weight|gain|pixels_u8|latents)$/.test(tensor);

async function checkPrimitive(
  fixture: Fixture,
  checks: Checks,
  device: Device,
  name: string,
  given: unknown,
): Promise<void> {
  const named = { op: operationOf(name), ...(typeof given === "object" ? given : {}) };
  const options = parseOptions("options", primitive, named);
  for (const remark of ["input_scale", "bandwidth"] as const) {
    if (options[remark] !== undefined) fixture.leaveOut(`${name}: ${remark}, which says how its inputs were made`);
  }
  if (!fixture.hasResults(name, isInput)) return;
  const found = new Comparison(fixture, checks, `${name}/`);
  if (options.op === "rgb_codec") {
    checkCodec(fixture, found, name);
    return;
  }

  const { inputs, apply, before } = application(options, fixture, name);
  const values = Object.fromEntries(inputs.map((input) => [input, fixture.tensor(`${name}/${input}`)]));
  // Some cases are forward only.
  const cotangent = fixture.hasGradient(name) ? fixture.tensor(`${name}/G`) : null;
  const compute = (stored: Inputs, g: Tensor | null) => {
    const changed = before === undefined ? {} : before(stored);
    const ready = { ...stored, ...changed };
    if (g === null) return { out: apply(ready), changed, gradient: {} };
    const { value, pullback } = vjp(apply, ready);
    return { out: value, changed, gradient: pullback(g) };
  };
  const { out, changed, gradient } = await evaluateOn(device, compute, values, cotangent);
  await found.tensor("out", out, "output");
  for (const [input, value] of Object.entries(changed)) await found.tensor(`${input}_after`, value, "output");
  for (const [input, value] of Object.entries(gradient)) await found.tensor(`grad_${input}`, value, "gradient");
}

/** Decoded pixels are exact: any other number would be another picture. */
function checkCodec(fixture: Fixture, found: Comparison, name: string): void {
  if (found.has("encoded_f32")) {
    const pixels = fixture.stored(`${name}/pixels_u8`);
    const values = toFloat64(pixels);
    const bytes = Uint8Array.from(values);
    if (values.some((value, i) => value !== bytes[i])) {
      throw new EvenkeelError("file", "pixels_u8 are not all whole numbers from 0 to 255.");
    }
    // As training takes images of a data set, here of one pixel each.
    const dataset = createDataset({ name, channels: 1, resolution: 1, pixels: bytes });
    const { images } = gatherBatch(dataset, Array.from(bytes.keys()));
    found.values("encoded_f32", images, "output");
  }
  if (found.has("decoded_u8")) {
    found.values("decoded_u8", toPixels(toFloat32(fixture.stored(`${name}/latents`))), "output", 0);
  }
}

/** A case's name begins with its operation's. */
function operationOf(name: string): string {
  return name.split(".")[0] ?? name;
}

export const primitives: Kind = {
  prefix: "edm2_primitives",
  extension: ".safetensors",
  tolerances: { output: 3e-6, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks, device) {
    const operations: readonly string[] = primitive.options.map(({ shape }) => shape.op.value);
    for (const [name, options] of fixture.cases((group) => operations.includes(operationOf(group)))) {
      await checks.part(name, () => checkPrimitive(fixture, checks, device, name, options));
    }
  },
};
