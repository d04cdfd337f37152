import * as z from "zod";
import { EvenkeelError } from "../../engine/index.ts";
import type { StoredTensor } from "../../engine/io/index.ts";
import { checkParameters, flattenParameters, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";
import {
  describeDenoiser,
  edmParameterName,
  type NetworkConfig,
  type NoiseDistribution,
  networkConfigFromEdm,
  networkConfigFromReference,
} from "../network/index.ts";
import { type Fixture, parseOptions } from "./fixture.ts";

export type LossOptions = { readonly noise: NoiseDistribution; readonly sigmaData: number };

/** The noise distribution and the standard deviation of the data, as the published losses name them, with these defaults. */
function lossSchema(mean: number, deviation: number): z.ZodType<LossOptions> {
  return z
    .strictObject({
      P_mean: z.number().default(mean),
      P_std: z.number().default(deviation),
      sigma_data: z.number().positive().default(0.5),
    })
    .transform(({ P_mean, P_std, sigma_data }) => ({
      noise: { mean: P_mean, standardDeviation: P_std },
      sigmaData: sigma_data,
    }));
}

/** Which published code a file's options and names are from: that of the first paper (EDM) or of the second. */
export type NetworkDialect = {
  readonly configOf: (options: Readonly<Record<string, unknown>>) => NetworkConfig;
  /** The file's name of an array of ours. */
  readonly nameOf: (name: string) => string;
  readonly loss: z.ZodType<LossOptions>;
};

export const edm: NetworkDialect = {
  configOf: networkConfigFromEdm,
  nameOf: edmParameterName,
  loss: lossSchema(-1.2, 1.2),
};
export const edm2: NetworkDialect = {
  configOf: networkConfigFromReference,
  nameOf: (name) => name,
  loss: lossSchema(-0.4, 1),
};

/** Options that the published networks take and that change nothing in what a stored file holds. */
const withoutEffect = ["class_name", "model_type", "use_fp16", "label_dropout", "sigma_min", "sigma_max"];

/**
 * A network's configuration from the options of a file, with the reference's defaults. The sizes of images and labels, which have none,
 * are those of the arrays under `prefix` where they are left out.
 * @throws EvenkeelError `value` that names an option it doesn't know, or a size that neither says.
 */
export function networkOf(
  fixture: Fixture,
  prefix: string,
  options: Readonly<Record<string, unknown>>,
  dialect = edm2,
): NetworkConfig {
  for (const name of withoutEffect) if (name in options) fixture.leaveOut(`option ${name}`);
  return dialect.configOf({ ...sizesOfArrays(fixture, prefix, dialect), ...options });
}

function sizesOfArrays(fixture: Fixture, prefix: string, { nameOf }: NetworkDialect): Record<string, number> {
  const extent = (name: string, axis: number): number | undefined => fixture.shapeOf(prefix + nameOf(name))?.[axis];
  const first = fixture
    .namesUnder(prefix + nameOf("unet.enc."))
    .map((name) => /^(\d+)x\1_conv\./.exec(name)?.[1])
    .find((resolution) => resolution !== undefined);
  const channels = extent("unet.out_conv.weight", 0);
  return {
    ...(first === undefined ? {} : { img_resolution: Number(first) }),
    ...(channels === undefined ? {} : { img_channels: channels, label_dim: extent("unet.emb_label.weight", 1) ?? 0 }),
  };
}

/** A network's and its loss's options from the metadata `config`, where the loss has a group of its own. */
export function networkWithLoss(
  fixture: Fixture,
  prefix: string,
  dialect = edm2,
): { readonly network: NetworkConfig; readonly loss: LossOptions } {
  const { loss = {}, ...options } = fixture.metadata("config", z.looseObject({ loss: z.unknown().optional() }));
  return {
    network: networkOf(fixture, prefix, options, dialect),
    loss: parseOptions("metadata config: loss", dialect.loss, loss),
  };
}

/** A network's arrays under a prefix of a file: what is trained, and what is fixed. */
export type FixtureNetwork = {
  readonly specs: NamedParameters<ParameterSpec>;
  readonly weights: NamedParameters;
  readonly buffers: NamedParameters;
};

/** What of a denoiser a check computes with: the rest may be missing. */
export type NetworkPart = "whole" | "unet" | "lossHead";

/** The arrays of a part of a network, by our names. */
export function specsOf(config: NetworkConfig, part: NetworkPart): NamedParameters<ParameterSpec> {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
  if (part === "whole") return specs;
  return Object.fromEntries(Object.entries(specs).filter(([name]) => name.startsWith("unet.") === (part === "unet")));
}

/**
 * The arrays of a part of a network.
 * @param isOther names under the prefix that are no arrays of ours: somebody else checks them.
 * @throws EvenkeelError `shape` if the arrays are not those of the configuration.
 */
export function networkUnder(
  fixture: Fixture,
  prefix: string,
  config: NetworkConfig,
  part: NetworkPart,
  { nameOf } = edm2,
  isOther: (name: string) => boolean = () => false,
): FixtureNetwork {
  const specs = specsOf(config, part);
  const whole = Object.keys(specsOf({ ...config, lossHead: true }, "whole"));
  const others = new Set(whole.filter((name) => !(name in specs)).map(nameOf));
  const names = fixture.namesUnder(prefix).filter((name) => !isOther(name) && !others.has(name));
  const stored = new Map(names.map((name): [string, StoredTensor] => [name, fixture.stored(prefix + name)]));
  const inFile = Object.fromEntries(Object.entries(specs).map(([name, spec]) => [nameOf(name), spec]));
  checkParameters(inFile, stored, prefix);
  const of = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(
      Object.entries(specs)
        .filter(([, { role }]) => (role === "buffer") === isBuffer)
        .map(([name]) => [name, fixture.tensor(prefix + nameOf(name))]),
    );
  return { specs, weights: of(false), buffers: of(true) };
}

/** @throws EvenkeelError `file` where a loss needs masks of dropout, which no file holds. */
export function refuseDropout({ unet: { dropout } }: NetworkConfig): void {
  if (dropout > 0) {
    throw new EvenkeelError(
      "file",
      `training drops elements with probability ${dropout}, and which ones it were is not in the file: dropout must be 0.`,
    );
  }
}
