import * as z from "zod";
import { type Device, type Tensor, vjp } from "../../engine/index.ts";
import {
  applyBlock,
  type BlockConfig,
  type BlockParameters,
  checkParameters,
  configurationSwitches,
  describeBlock,
  flattenParameters,
  groupNorm,
  nestParameters,
  normGroups,
  type ParameterSpec,
  positionalFeatures,
} from "../../nn/index.ts";
import { edmParameterName } from "../network/index.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { evaluateOn } from "./evaluateOn.ts";
import { type Fixture, parseOptions } from "./fixture.ts";

const channels = z.number().int().positive();

/**
 * A part's options by EDM's names, with its defaults; sizes that a tensor has as well may be left out. Options that its networks don't use
 * are known, with the only value that we have.
 */
const blockOptions = z.strictObject({
  in_channels: channels.optional(),
  out_channels: channels.optional(),
  emb_channels: channels.optional(),
  up: z.boolean().default(false),
  down: z.boolean().default(false),
  attention: z.boolean().default(false),
  num_heads: channels.nullable().default(null),
  channels_per_head: channels.default(64),
  dropout: z.literal(0).default(0),
  skip_scale: z.literal(1).default(1),
  eps: z.literal(1e-5).default(1e-5),
  resample_filter: z.array(z.number()).default([1, 1]),
  resample_proj: z.literal(false).default(false),
  adaptive_scale: z.literal(true).default(true),
  note: z.string().optional(),
});

const groupNormOptions = z.strictObject({
  num_channels: channels.optional(),
  num_groups: channels.optional(),
  eps: z.number().default(1e-5),
  note: z.string().optional(),
});

const positionalOptions = z.strictObject({
  num_channels: channels.optional(),
  max_positions: z.literal(10000).default(10000),
  endpoint: z.literal(false).default(false),
  note: z.string().optional(),
});

/** A stored filter that a published network carries in its weights. */
export function isResampleFilter(name: string): boolean {
  return name.endsWith(".resample_filter");
}

/** Published networks carry the separable filter as a matrix; ours have it in their options. */
export function checkResampleFilters(
  fixture: Fixture,
  checks: Checks,
  prefix: string,
  filter: readonly number[],
): void {
  const sum = filter.reduce((total, value) => total + value, 0);
  const matrix = filter.flatMap((a) => filter.map((b) => (a * b) / sum ** 2));
  for (const name of fixture.namesUnder(prefix).filter(isResampleFilter)) {
    checks.values(prefix + name, matrix, fixture.stored(prefix + name), "output");
  }
}

type Primals = Readonly<Record<string, Tensor>>;

/** Compares a function's result and its gradient with respect to each input: what the file has of them. */
async function checkFunction(
  { fixture, checks, device }: Part,
  name: string,
  inputs: Primals,
  apply: (inputs: Primals) => Tensor,
  gradientName: (input: string) => string = (input) => `grad_${input}`,
): Promise<void> {
  const found = new Comparison(fixture, checks, `${name}/`);
  if (!fixture.hasGradient(name)) {
    await found.tensor("out", await evaluateOn(device, apply, inputs), "output");
    return;
  }
  const compute = (primals: Primals, cotangent: Tensor) => {
    const { value, pullback } = vjp(apply, primals);
    return { out: value, gradient: pullback(cotangent) };
  };
  const { out, gradient } = await evaluateOn(device, compute, inputs, fixture.tensor(`${name}/G`));
  await found.tensor("out", out, "output");
  for (const [input, value] of Object.entries(gradient)) await found.tensor(gradientName(input), value, "gradient");
}

/** What a case is given; everything else in it was computed. A filter among the weights is compared with its options. */
const isInput = (tensor: string): boolean => /^(x|emb|G|weight|bias|w\/.*)$/.test(tensor) && !isResampleFilter(tensor);

/** A file while its parts are checked. */
export type Part = { readonly fixture: Fixture; readonly checks: Checks; readonly device: Device };

/** Group normalization with learned scale and bias, over the file's number of groups. */
export async function checkGroupNorm(part: Part, name: string, given: unknown): Promise<void> {
  const options = parseOptions("options", groupNormOptions, given);
  if (!part.fixture.hasResults(name, isInput)) return;
  const of = (tensor: string): Tensor => part.fixture.tensor(`${name}/${tensor}`);
  const count = options.num_channels ?? part.fixture.stored(`${name}/weight`).data.length;
  part.fixture.requireLength(`${name}/weight`, count);
  const groups = options.num_groups ?? normGroups(count);
  await checkFunction(part, name, { x: of("x"), weight: of("weight"), bias: of("bias") }, ({ x, weight, bias }) =>
    // The names are those given above.
    groupNorm(x as Tensor, { weight: weight as Tensor, bias: bias as Tensor }, groups, options.eps),
  );
}

/** Sines and cosines of as many channels as the file has. */
export async function checkPositional(part: Part, name: string, given: unknown): Promise<void> {
  const options = parseOptions("options", positionalOptions, given);
  if (!part.fixture.hasResults(name, isInput)) return;
  const count = options.num_channels ?? part.fixture.stored(`${name}/out`).shape[1] ?? 0;
  const x = part.fixture.tensor(`${name}/x`);
  await checkFunction(part, name, { x }, ({ x: positions }) => positionalFeatures(positions as Tensor, count));
}

/** A residual block of configuration A. */
export async function checkBaselineBlock(part: Part, name: string, given: unknown): Promise<void> {
  const { fixture, checks } = part;
  const options = parseOptions("options", blockOptions, given);
  if (!fixture.hasResults(name, isInput)) return;
  const prefix = `${name}/w/`;
  checkResampleFilters(fixture, checks, prefix, options.resample_filter);
  if (!fixture.hasGradient(name) && !fixture.has(`${name}/out`)) return;

  const extent = (tensor: string, axis: number): number => fixture.stored(`${name}/${tensor}`).shape[axis] ?? 0;
  const outChannels = options.out_channels ?? extent("w/conv1.weight", 0);
  const { num_heads: heads } = options;
  const config: BlockConfig = {
    // Without pixel norm and widening ahead, blocks of encoder and decoder are the same.
    flavor: "enc",
    inChannels: options.in_channels ?? extent("x", 1),
    outChannels,
    embChannels: options.emb_channels ?? extent("w/affine.weight", 1),
    resampleMode: options.up ? "up" : options.down ? "down" : "keep",
    resampleFilter: options.resample_filter,
    // A number of heads, where there is one, counts for blocks with attention only.
    attention: options.attention,
    channelsPerHead: heads === null ? options.channels_per_head : outChannels / heads,
    dropout: options.dropout,
    resBalance: 0.5,
    attnBalance: 0.5,
    clipAct: null,
    activations: "float32",
    switches: configurationSwitches.A,
  };
  const specs = flattenParameters<ParameterSpec>(describeBlock(config));
  const names = fixture.namesUnder(prefix).filter((each) => !isResampleFilter(each));
  const inFile = Object.fromEntries(Object.entries(specs).map(([own, spec]) => [edmParameterName(own), spec]));
  checkParameters(inFile, new Map(names.map((each) => [each, fixture.stored(prefix + each)])), prefix);

  const weights = Object.keys(specs).map((own): [string, Tensor] => [
    own,
    fixture.tensor(prefix + edmParameterName(own)),
  ]);
  const inputs: Primals = {
    x: fixture.tensor(`${name}/x`),
    emb: fixture.tensor(`${name}/emb`),
    ...Object.fromEntries(weights),
  };
  const apply = ({ x, emb, ...named }: Primals): Tensor =>
    applyBlock(config, nestParameters<BlockParameters>(named), x as Tensor, emb as Tensor);
  const gradientName = (input: string): string =>
    input in specs ? `grad/${edmParameterName(input)}` : `grad_${input}`;
  await checkFunction(part, name, inputs, apply, gradientName);
}
