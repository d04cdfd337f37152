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

/** The paper's configuration A: the ADM network as EDM (Karras et al. 2022) trained it. */
export const configA = configuration("A");
/** The paper's configuration B: minor improvements. */
export const configB = configuration("B");
/** The paper's configuration C: architectural streamlining. */
export const configC = configuration("C");
/** The paper's configuration D: magnitude-preserving learned layers. */
export const configD = configuration("D");
/** The paper's configuration E: control of effective learning rates. */
export const configE = configuration("E");
/** The paper's configuration F: no group normalizations. */
export const configF = configuration("F");
/** The paper's configuration G, EDM2: magnitude-preserving fixed-function layers. */
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
