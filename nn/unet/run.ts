import type { Tensor } from "../../engine/index.ts";
import type { UNetSwitches } from "./switches.ts";
import { applyLayer, type LayerParameters } from "./weights.ts";

/** What one run of a network does beside computing its output. */
export type NetworkRun = {
  /** Dropout of a layer's activations; absent = none, as in evaluation. */
  readonly dropout?: (x: Tensor, probability: number, layer: string) => Tensor;
  /**
   * Sees the immediate output of every layer with weights (bias and gain included), and the logits and weights of attention, by name.
   */
  readonly tap?: (name: string, value: Tensor) => void;
  /** How images were augmented, [N, augmentDim]; absent = not at all. Only for networks with an `augmentDim`. */
  readonly augmentLabels?: Tensor;
  /**
   * Whether derivatives compute what is within a block again instead of keeping it (`checkpoint`): less memory for more time, the same bits.
   * All but the last block, with which they begin, and those of the coarsest level, which hold little.
   */
  readonly recomputesBlocks?: boolean;
};

/** A run as seen from within a module: names are relative to it. */
export type LayerRun = {
  /** Applies a layer and shows its output. */
  readonly layer: (name: string, x: Tensor, parameters: LayerParameters, gain?: Tensor) => Tensor;
  readonly tap: (name: string, value: Tensor) => void;
};

/** @param module its name and a dot, or nothing for the network itself. */
export function runWithin(run: NetworkRun, switches: UNetSwitches, module: string): LayerRun {
  const tap = (name: string, value: Tensor): void => run.tap?.(module + name, value);
  const layer: LayerRun["layer"] = (name, x, parameters, gain) => {
    const output = applyLayer(switches, x, parameters, gain);
    tap(name, output);
    return output;
  };
  return { layer, tap };
}
