import type { Tensor } from "../../engine/index.ts";

/** What one run of a network does beside computing its output. */
export type Run = {
  /** Dropout of a layer's activations; absent = none, as in evaluation. */
  readonly dropout?: (x: Tensor, probability: number, layer: string) => Tensor;
  /** Sees the immediate output of every layer with weights, and the logits and weights of attention, by name. */
  readonly tap?: (name: string, value: Tensor) => void;
};
