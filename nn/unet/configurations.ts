import { type UNetConfig, unetConfig, type UNetData } from "./config.ts";
import { type ConfigurationName, configurationSwitches } from "./ladder.ts";

/** A configuration's network for some data: the paper's size S where nothing else is said. */
export type Configuration = (options: UNetData & Partial<UNetConfig>) => UNetConfig;

/**
 * What a configuration differs in beside its switches. Blocks are clipped in G only: the limit is for 16-bit floats, and in the
 * others it would hide the growth of activations that they are there to show.
 */
function configuration(name: ConfigurationName): Configuration {
  const attention: Partial<UNetConfig> = name === "A" ? { attnResolutions: [32, 16, 8] } : {};
  const rest: Partial<UNetConfig> = name === "G" ? {} : { dropout: 0.1, clipAct: null };
  return (options) => unetConfig({ ...configurationSwitches[name], ...attention, ...rest, ...options });
}

export const configA = configuration("A");
export const configB = configuration("B");
export const configC = configuration("C");
export const configD = configuration("D");
export const configE = configuration("E");
export const configF = configuration("F");
export const configG = configuration("G");

/** Every configuration by its letter. */
export const configurations: Readonly<Record<ConfigurationName, Configuration>> = {
  A: configA,
  B: configB,
  C: configC,
  D: configD,
  E: configE,
  F: configF,
  G: configG,
};
