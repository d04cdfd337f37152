import * as z from "zod";
import { type Device, multiply, type Tensor, vjp } from "../../engine/index.ts";
import {
  applyBlock,
  type BlockConfig,
  type BlockParameters,
  checkParameters,
  configurationSwitches,
  describeBlock,
  flattenParameters,
  forceNormalize,
  type NamedParameters,
  nestParameters,
  type ParameterSpec,
  type NetworkRun,
} from "../../nn/index.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { evaluateOn } from "./evaluateOn.ts";
import { type Fixture, parseOptions } from "./fixture.ts";
import type { Kind } from "./kind.ts";

const channels = z.number().int().positive();

/** A block's options by the reference's names, with its defaults. Its numbers of channels may be left to its weights. */
const blockOptions = z.strictObject({
  in_channels: channels.optional(),
  out_channels: channels.optional(),
  emb_channels: channels.optional(),
  flavor: z.enum(["enc", "dec"]).default("enc"),
  resample_mode: z.enum(["keep", "up", "down"]).default("keep"),
  resample_filter: z.array(z.number()).default([1, 1]),
  attention: z.boolean().default(false),
  channels_per_head: channels.default(64),
  dropout: z.number().min(0).lt(1).default(0),
  res_balance: z.number().default(0.3),
  attn_balance: z.number().default(0.3),
  clip_act: z.number().nullable().default(256),
  // As PyTorch's modules are unless they are told.
  training: z.boolean().default(true),
  note: z.string().optional(),
});

type BlockOptions = z.infer<typeof blockOptions>;

function blockConfig(options: BlockOptions, fixture: Fixture, name: string): BlockConfig {
  const extent = (tensor: string, axis: number): number => fixture.stored(`${name}/${tensor}`).shape[axis] ?? 0;
  return {
    flavor: options.flavor,
    inChannels: options.in_channels ?? extent("x", 1),
    outChannels: options.out_channels ?? extent("w/conv_res1.weight", 0),
    embChannels: options.emb_channels ?? extent("w/emb_linear.weight", 1),
    resampleMode: options.resample_mode,
    resampleFilter: options.resample_filter,
    attention: options.attention,
    channelsPerHead: options.channels_per_head,
    dropout: options.dropout,
    resBalance: options.res_balance,
    attnBalance: options.attn_balance,
    clipAct: options.clip_act,
    activations: "float32",
    switches: configurationSwitches.G,
  };
}

type Primals = { readonly x: Tensor; readonly emb: Tensor; readonly weights: NamedParameters };

/** What a case is given; everything else in it was computed. */
const isInput = (tensor: string): boolean => /^(x|emb|G|dropout_keep_mask|w\/.*)$/.test(tensor);

async function checkBlock(
  fixture: Fixture,
  checks: Checks,
  device: Device,
  name: string,
  given: unknown,
): Promise<void> {
  const options = parseOptions("options", blockOptions, given);
  if (!fixture.hasResults(name, isInput)) return;
  const hasGradient = fixture.hasGradient(name);

  const config = blockConfig(options, fixture, name);
  const specs = flattenParameters<ParameterSpec>(describeBlock(config));
  checkParameters(specs, fixture.storedUnder(`${name}/w/`), `${name}/w`);
  if (!options.training && config.dropout > 0) fixture.leaveOut(`${name}: dropout, which evaluation doesn't have`);
  const found = new Comparison(fixture, checks, `${name}/`);
  const weights = Object.fromEntries(Object.keys(specs).map((key) => [key, fixture.tensor(`${name}/w/${key}`)]));
  // In evaluation a call leaves them as they are.
  const weightsAfter = (before: NamedParameters): NamedParameters =>
    Object.fromEntries(
      Object.entries(before).map(([key, w]) => [
        key,
        options.training && specs[key]?.role === "weight" ? forceNormalize(w) : w,
      ]),
    );
  const compareAfter = async (after: NamedParameters): Promise<void> => {
    for (const [key, value] of Object.entries(after)) await found.tensor(`w_after/${key}`, value, "output");
  };
  if (!hasGradient && !found.has("out")) return compareAfter(await evaluateOn(device, weightsAfter, weights));

  const isDropped = options.training && config.dropout > 0;
  const keep = isDropped ? fixture.tensor(`${name}/dropout_keep_mask`) : null;

  const compute = (primals: Primals, cotangent: Tensor | null, mask: Tensor | null) => {
    const run: NetworkRun = mask === null ? {} : { dropout: (y, p) => multiply(multiply(y, mask), 1 / (1 - p)) };
    const apply = ({ x, emb, weights: named }: Primals): Tensor =>
      applyBlock(config, nestParameters<BlockParameters>(named), x, emb, run);
    const ready = { ...primals, weights: weightsAfter(primals.weights) };
    if (cotangent === null) return { out: apply(ready), after: ready.weights, gradient: null };
    const { value, pullback } = vjp(apply, ready);
    return { out: value, after: ready.weights, gradient: pullback(cotangent) };
  };
  const primals: Primals = { x: fixture.tensor(`${name}/x`), emb: fixture.tensor(`${name}/emb`), weights };
  const cotangent = hasGradient ? fixture.tensor(`${name}/G`) : null;
  const { out, after, gradient } = await evaluateOn(device, compute, primals, cotangent, keep);

  await found.tensor("out", out, "output");
  await compareAfter(after);
  if (gradient === null) return;
  await found.tensor("grad_x", gradient.x, "gradient");
  await found.tensor("grad_emb", gradient.emb, "gradient");
  for (const [key, value] of Object.entries(gradient.weights)) await found.tensor(`grad/${key}`, value, "gradient");
}

export const blocks: Kind = {
  prefix: "edm2_blocks",
  extension: ".safetensors",
  tolerances: { output: 3e-6, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks, device) {
    for (const [name, options] of fixture.cases((group) => fixture.hasGroup(`${group}/w/`))) {
      await checks.part(name, () => checkBlock(fixture, checks, device, name, options));
    }
  },
};
