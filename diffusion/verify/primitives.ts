import { z } from "zod";
import { type Device, EvenkeelError, type Tensor, toFloat32, vjp } from "../../engine/index.ts";
import { forceNormalize, mpCat, mpConv, mpFourier, mpSilu, mpSum, normalize, resample } from "../../nn/index.ts";
import { createDataset, gatherBatch } from "../data/index.ts";
import { toPixels } from "../sample/index.ts";
import type { CheckClass, Checks } from "./checks.ts";
import { evaluateOn } from "./evaluateOn.ts";
import { type Fixture, parseOptions } from "./fixture.ts";
import type { Kind } from "./kind.ts";

/** Remarks that say nothing of how to compute. */
const remarks = { note: z.string().optional(), input_scale: z.number().optional() };
const wholeNumber = z.number().int().nonnegative();
const weightOfB = z.number().default(0.5);

const primitive = z.discriminatedUnion("op", [
  z.strictObject({
    op: z.literal("normalize"),
    dim: z.union([z.null(), wholeNumber, z.array(wholeNumber)]),
    eps: z.number(),
    ...remarks,
  }),
  z.strictObject({ op: z.literal("mp_silu"), ...remarks }),
  z.strictObject({ op: z.literal("mp_sum"), t: weightOfB, ...remarks }),
  z.strictObject({ op: z.literal("mp_cat"), dim: z.literal(1), t: weightOfB, ...remarks }),
  z.strictObject({
    op: z.literal("resample"),
    mode: z.enum(["keep", "down", "up"]),
    filter: z.array(z.number()).default([1, 1]),
    ...remarks,
  }),
  z.strictObject({ op: z.literal("mp_fourier"), num_channels: wholeNumber, ...remarks }),
  z.strictObject({
    op: z.literal("mp_conv"),
    in_channels: wholeNumber,
    out_channels: wholeNumber,
    kernel: z.array(wholeNumber),
    training: z.boolean(),
    gain: z.union([z.number(), z.literal("param")]),
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

function application(options: Exclude<Primitive, { op: "rgb_codec" }>, fixture: Fixture, name: string): Application {
  // The names are those that `inputs` lists.
  const of = (inputs: Inputs, input: string): Tensor => inputs[input] as Tensor;
  switch (options.op) {
    case "normalize":
      return { inputs: ["x"], apply: (inputs) => normalize(of(inputs, "x"), options.dim ?? undefined, options.eps) };
    case "mp_silu":
      return { inputs: ["x"], apply: (inputs) => mpSilu(of(inputs, "x")) };
    case "mp_sum":
      return { inputs: ["a", "b"], apply: (inputs) => mpSum(of(inputs, "a"), of(inputs, "b"), options.t) };
    case "mp_cat":
      return { inputs: ["a", "b"], apply: (inputs) => mpCat(of(inputs, "a"), of(inputs, "b"), options.t) };
    case "resample":
      return { inputs: ["x"], apply: (inputs) => resample(of(inputs, "x"), options.mode, options.filter) };
    case "mp_fourier": {
      const channels = [options.num_channels];
      const features = {
        freqs: fixture.tensor(`${name}/freqs`, channels),
        phases: fixture.tensor(`${name}/phases`, channels),
      };
      return { inputs: ["x"], apply: (inputs) => mpFourier(of(inputs, "x"), features) };
    }
    case "mp_conv": {
      const { gain, training } = options;
      const shape = [options.out_channels, options.in_channels, ...options.kernel];
      if (fixture.stored(`${name}/weight`).shape.join() !== shape.join()) {
        throw new EvenkeelError("file", `its weight is not [${shape.join(", ")}], as its options have it.`);
      }
      return {
        inputs: ["x", "weight", ...(gain === "param" ? ["gain"] : [])],
        apply: (inputs) => mpConv(of(inputs, "x"), of(inputs, "weight"), gain === "param" ? of(inputs, "gain") : gain),
        before: (inputs) => {
          const weight = of(inputs, "weight");
          return { weight: training ? forceNormalize(weight) : weight };
        },
      };
    }
  }
}

async function checkPrimitive(
  fixture: Fixture,
  checks: Checks,
  device: Device,
  name: string,
  given: unknown,
): Promise<void> {
  const options = parseOptions("options", primitive, given);
  if (options.op === "rgb_codec") {
    checkCodec(fixture, checks, name);
    return;
  }
  const { inputs, apply, before } = application(options, fixture, name);
  const values = Object.fromEntries(inputs.map((input) => [input, fixture.tensor(`${name}/${input}`)]));
  // Some cases are forward only.
  const hasGradient = fixture.has(`${name}/G`) || fixture.hasGroup(`${name}/grad_`);
  const compute = (stored: Inputs, cotangent: Tensor | null) => {
    const changed = before === undefined ? {} : before(stored);
    const ready = { ...stored, ...changed };
    if (cotangent === null) return { out: apply(ready), changed, gradient: {} };
    const { value, pullback } = vjp(apply, ready);
    return { out: value, changed, gradient: pullback(cotangent) };
  };
  const cotangent = hasGradient ? fixture.tensor(`${name}/G`) : null;
  const { out, changed, gradient } = await evaluateOn(device, compute, values, cotangent);
  const compare = async (tensor: string, actual: Tensor, as: CheckClass): Promise<void> =>
    checks.tensor(`${name}/${tensor}`, actual, fixture.stored(`${name}/${tensor}`), as);
  await compare("out", out, "output");
  for (const [input, value] of Object.entries(changed)) await compare(`${input}_after`, value, "output");
  for (const [input, value] of Object.entries(gradient)) await compare(`grad_${input}`, value, "gradient");
}

/** Decoded pixels are exact: any other number would be another picture. */
function checkCodec(fixture: Fixture, checks: Checks, name: string): void {
  const pixels = fixture.stored(`${name}/pixels_u8`);
  if (pixels.dtype !== "U8") throw new EvenkeelError("file", `pixels_u8 are ${pixels.dtype}, expected U8.`);
  // As training takes images of a data set, here of one pixel each.
  const dataset = createDataset({ name, channels: 1, resolution: 1, pixels: pixels.data });
  const { images } = gatherBatch(dataset, Array.from(pixels.data.keys()));
  checks.values(`${name}/encoded_f32`, images, fixture.stored(`${name}/encoded_f32`), "output");
  const decoded = toPixels(toFloat32(fixture.stored(`${name}/latents`)));
  checks.values(`${name}/decoded_u8`, decoded, fixture.stored(`${name}/decoded_u8`), "output", 0);
}

export const primitives: Kind = {
  prefix: "edm2_primitives",
  extension: ".safetensors",
  tolerances: { output: 3e-6, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks, device) {
    for (const [name, options] of fixture.cases()) {
      await checks.part(name, () => checkPrimitive(fixture, checks, device, name, options));
    }
  },
};
