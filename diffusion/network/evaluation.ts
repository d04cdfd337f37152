import { compileStep, type CompiledStep, type Device, type State, type Tensor } from "../../engine/index.ts";
import type { NamedParameters } from "../../nn/index.ts";

/** What a network is asked about some images, and what it answers: leaves of a state on its device. */
export type Evaluation = {
  /** Noisy images [N, C, H, W]. */
  readonly x: Tensor;
  /** The noise level of each [N]. */
  readonly sigma: Tensor;
  /** Label vectors [N, labelDim]; null if there are none. */
  readonly labels: Tensor | null;
  /** Keys [N, 2] of what networks with dropout on drop now; null if there are none. */
  readonly dropoutKeys: Tensor | null;
  /** The denoised images [N, C, H, W]. */
  readonly answer: Tensor;
};

/** A state with an evaluation in it, and with anything else. */
export type Evaluated = { readonly evaluation: Evaluation };

/**
 * D(x; sigma) as a function in the graph: noisy images, noise levels [N], label vectors or null, keys of dropout [N, 2] or null. Treats
 * images apart.
 */
export type DenoisingFormula = (x: Tensor, sigma: Tensor, labels: Tensor | null, dropoutKeys: Tensor | null) => Tensor;

/** Writes the answers of a formula with arrays of its own into states; false leaves labels out of what it is asked. */
export type EvaluationStep = CompiledStep<Evaluated, [arrays: NamedParameters, isLabelled: boolean], null>;

/** Compiles a formula for states on a device, once for each of their shapes. Dispose of it. */
export function compileEvaluation(
  formulaOf: (arrays: NamedParameters) => DenoisingFormula,
  device: Device,
): EvaluationStep {
  return compileStep(
    (state: Evaluated, arrays: NamedParameters, isLabelled: boolean) => {
      const { x, sigma, labels, dropoutKeys } = state.evaluation;
      const answer = formulaOf(arrays)(x, sigma, isLabelled ? labels : null, dropoutKeys);
      return { state: { ...state, evaluation: { ...state.evaluation, answer } }, result: null };
    },
    { device },
  );
}

/** What answers in states on its device: a network with its weights there, as `DenoiserProgram`, or a formula. */
export interface Denoiser {
  /** Where it answers. */
  readonly device: Device;
  /** Degrees of freedom of the noise that it removes; absent or 0: Gaussian noise. */
  readonly noiseDf?: number;
  /** Whether it drops activations, by the keys of the evaluation. Absent: not. */
  readonly hasDropout?: boolean;
  /**
   * Writes the denoised images of the state's evaluation into it, and waits for nothing.
   * @param isLabelled false: it is asked without labels, also if the state has some. Default true.
   */
  evaluate(state: State<Evaluated>, isLabelled?: boolean): Promise<void>;
}

/** A formula as samplers take networks. Dispose of it. */
export class FormulaDenoiser implements Denoiser {
  /** Where it answers. */
  readonly device: Device;
  readonly #step: EvaluationStep;

  constructor(formula: DenoisingFormula, device: Device) {
    this.device = device;
    this.#step = compileEvaluation(() => formula, device);
  }

  /** Denoises what a state on the device asks about; the answer stays there. */
  async evaluate(state: State<Evaluated>, isLabelled = true): Promise<void> {
    await this.#step.advance(state, {}, isLabelled);
  }

  /** Frees what it has on the device. Idempotent. */
  dispose(): void {
    this.#step.dispose();
  }
}
