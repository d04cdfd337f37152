import { z } from "zod";
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
  type Run,
} from "../../nn/index.ts";
import type { CheckClass, Checks } from "./checks.ts";
import { evaluateOn } from "./evaluateOn.ts";
import { type Fixture, parseOptions } from "./fixture.ts";
import type { Kind } from "./kind.ts";

const channels = z.number().int().positive();

/** A block's options by the reference's names, with its defaults. */
const blockOptions = z.strictObject({
  in_channels: channels,
  out_channels: channels,
  emb_channels: channels,
  flavor: z.enum(["enc", "dec"]),
  resample_mode: z.enum(["keep", "up", "down"]).default("keep"),
  resample_filter: z.array(z.number()).default([1, 1]),
  attention: z.boolean().default(false),
  channels_per_head: channels.default(64),
  dropout: z.number().default(0),
  res_balance: z.number().default(0.3),
  attn_balance: z.number().default(0.3),
  clip_act: z.number().nullable().default(256),
  training: z.boolean(),
  note: z.string().optional(),
});

type BlockOptions = z.infer<typeof blockOptions>;

function blockConfig(options: BlockOptions): BlockConfig {
  return {
    flavor: options.flavor,
    inChannels: options.in_channels,
    outChannels: options.out_channels,
    embChannels: options.emb_channels,
    resampleMode: options.resample_mode,
    resampleFilter: options.resample_filter,
    attention: options.attention,
    channelsPerHead: options.channels_per_head,
    dropout: options.dropout,
    resBalance: options.res_balance,
    attnBalance: options.attn_balance,
    clipAct: options.clip_act,
    switches: configurationSwitches.G,
  };
}

type Primals = { readonly x: Tensor; readonly emb: Tensor; readonly weights: NamedParameters };

async function checkBlock(
  fixture: Fixture,
  checks: Checks,
  device: Device,
  name: string,
  given: unknown,
): Promise<void> {
  const options = parseOptions("options", blockOptions, given);
  const config = blockConfig(options);
  const specs = flattenParameters<ParameterSpec>(describeBlock(config));
  const stored = fixture.storedUnder(`${name}/w/`);
  checkParameters(specs, stored, `${name}/w`);
  const isDropped = options.training && config.dropout > 0;
  const keep = isDropped ? fixture.tensor(`${name}/dropout_keep_mask`) : null;

  const compute = ({ x, emb, weights }: Primals, cotangent: Tensor, mask: Tensor | null) => {
    const run: Run = mask === null ? {} : { dropout: (y, p) => multiply(multiply(y, mask), 1 / (1 - p)) };
    const after = options.training
      ? Object.fromEntries(
          Object.entries(weights).map(([key, w]) => [key, specs[key]?.role === "weight" ? forceNormalize(w) : w]),
        )
      : weights;
    const apply = (primals: Primals): Tensor =>
      applyBlock(config, nestParameters<BlockParameters>(primals.weights), primals.x, primals.emb, run);
    const { value, pullback } = vjp(apply, { x, emb, weights: after });
    return { out: value, after: options.training ? after : {}, gradient: pullback(cotangent) };
  };
  const primals: Primals = {
    x: fixture.tensor(`${name}/x`),
    emb: fixture.tensor(`${name}/emb`),
    weights: Object.fromEntries(Object.keys(specs).map((key) => [key, fixture.tensor(`${name}/w/${key}`)])),
  };
  const { out, after, gradient } = await evaluateOn(device, compute, primals, fixture.tensor(`${name}/G`), keep);

  const compare = async (tensor: string, actual: Tensor, as: CheckClass): Promise<void> =>
    checks.tensor(`${name}/${tensor}`, actual, fixture.stored(`${name}/${tensor}`), as);
  await compare("out", out, "output");
  for (const [key, value] of Object.entries<Tensor>(after)) await compare(`w_after/${key}`, value, "output");
  await compare("grad_x", gradient.x, "gradient");
  await compare("grad_emb", gradient.emb, "gradient");
  for (const [key, value] of Object.entries(gradient.weights)) await compare(`grad/${key}`, value, "gradient");
}

export const blocks: Kind = {
  prefix: "edm2_blocks",
  extension: ".safetensors",
  tolerances: { output: 3e-6, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks, device) {
    for (const [name, options] of fixture.cases()) {
      await checks.part(name, () => checkBlock(fixture, checks, device, name, options));
    }
  },
};
