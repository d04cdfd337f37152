import { z } from "zod";
import { EvenkeelError, type StoredTensor } from "../../engine/index.ts";
import { checkParameters, flattenParameters, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";
import {
  describeDenoiser,
  edmParameterName,
  type NetworkConfig,
  type NoiseDistribution,
  networkConfigFromEdm,
  networkConfigFromReference,
} from "../network/index.ts";
import type { Fixture } from "./fixture.ts";

const lossOptions = z.strictObject({ P_mean: z.number(), P_std: z.number(), sigma_data: z.number() });

export type LossOptions = { readonly noise: NoiseDistribution; readonly sigmaData: number };

/** The noise distribution and the standard deviation of the data, as the reference's loss names them. */
export const lossSchema: z.ZodType<LossOptions> = lossOptions.transform(({ P_mean, P_std, sigma_data }) => ({
  noise: { mean: P_mean, standardDeviation: P_std },
  sigmaData: sigma_data,
}));

/** Which published code a file's options and names are from: that of the first paper (EDM) or of the second. */
export type NetworkDialect = {
  readonly configOf: (options: Readonly<Record<string, unknown>>) => NetworkConfig;
  /** The file's name of an array of ours. */
  readonly nameOf: (name: string) => string;
};

export const edm: NetworkDialect = { configOf: networkConfigFromEdm, nameOf: edmParameterName };
export const edm2: NetworkDialect = { configOf: networkConfigFromReference, nameOf: (name) => name };

/** A network's and its loss's options from the metadata `config`, where the loss has a group of its own. */
export function networkWithLoss(
  fixture: Fixture,
  dialect = edm2,
): { readonly network: NetworkConfig; readonly loss: LossOptions } {
  const schema = z.looseObject({ loss: lossSchema });
  const { loss, ...options } = fixture.metadata("config", schema);
  return { network: networkForLoss(options, loss, dialect), loss };
}

/** @throws EvenkeelError `file` if the network and its loss are for data of different standard deviations. */
export function networkForLoss(
  options: Readonly<Record<string, unknown>>,
  loss: LossOptions,
  dialect = edm2,
): NetworkConfig {
  const network = dialect.configOf({ sigma_data: loss.sigmaData, ...options });
  if (network.sigmaData !== loss.sigmaData) {
    throw new EvenkeelError(
      "file",
      `the network is for data of standard deviation ${network.sigmaData}, its loss for ${loss.sigmaData}.`,
    );
  }
  return network;
}

/** A network's arrays under a prefix of a file: what is trained, and what is fixed. */
export type FixtureNetwork = {
  readonly specs: NamedParameters<ParameterSpec>;
  readonly weights: NamedParameters;
  readonly buffers: NamedParameters;
  readonly stored: ReadonlyMap<string, StoredTensor>;
};

/**
 * @param isOther names under the prefix that are no arrays of ours: somebody else checks them.
 * @throws EvenkeelError `shape` if the arrays are not those of the configuration.
 */
export function networkUnder(
  fixture: Fixture,
  prefix: string,
  config: NetworkConfig,
  { nameOf } = edm2,
  isOther: (name: string) => boolean = () => false,
): FixtureNetwork {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
  const names = fixture.namesUnder(prefix).filter((name) => !isOther(name));
  const stored = new Map(names.map((name) => [name, fixture.stored(prefix + name)]));
  const inFile = Object.fromEntries(Object.entries(specs).map(([name, spec]) => [nameOf(name), spec]));
  checkParameters(inFile, stored, prefix);
  const of = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(
      Object.entries(specs)
        .filter(([, { role }]) => (role === "buffer") === isBuffer)
        .map(([name]) => [name, fixture.tensor(prefix + nameOf(name))]),
    );
  return { specs, weights: of(false), buffers: of(true), stored };
}
