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

/**
 * The paper's configuration A: the ADM network as EDM (Karras et al. 2022) trained it.
 * @example
 * ```ts
 * const config = configA({ imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(config.groupNorm, config.pixelNorm, config.forcedNorm); // learned false false
 * ```
 */
export const configA = configuration("A");
/**
 * The paper's configuration B: minor improvements.
 * @example
 * ```ts
 * const config = configB({ imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(config.groupNorm, config.pixelNorm, config.forcedNorm); // learned false false
 * ```
 */
export const configB = configuration("B");
/**
 * The paper's configuration C: architectural streamlining.
 * @example
 * ```ts
 * const config = configC({ imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(config.groupNorm, config.pixelNorm, config.forcedNorm); // simple false false
 * ```
 */
export const configC = configuration("C");
/**
 * The paper's configuration D: magnitude-preserving learned layers.
 * @example
 * ```ts
 * const config = configD({ imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(config.groupNorm, config.pixelNorm, config.forcedNorm); // simple false false
 * ```
 */
export const configD = configuration("D");
/**
 * The paper's configuration E: control of effective learning rates.
 * @example
 * ```ts
 * const config = configE({ imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(config.groupNorm, config.pixelNorm, config.forcedNorm); // simple false true
 * ```
 */
export const configE = configuration("E");
/**
 * The paper's configuration F: no group normalizations.
 * @example
 * ```ts
 * const config = configF({ imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(config.groupNorm, config.pixelNorm, config.forcedNorm); // none true true
 * ```
 */
export const configF = configuration("F");
/**
 * The paper's configuration G, EDM2: magnitude-preserving fixed-function layers.
 * @example
 * ```ts
 * const config = configG({ imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(config.groupNorm, config.pixelNorm, config.forcedNorm); // none true true
 * ```
 */
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
