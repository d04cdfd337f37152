import { EvenkeelError } from "../../engine/index.ts";
import {
  convolutionArrays,
  type FeatureNetwork,
  type NetworkArray,
  type NetworkArrays,
  type LoadedNetwork,
  type NetworkStep,
} from "./network.ts";

/** Collects the steps and arrays of a network that is read from another program's description. */
export class NetworkBuilder {
  readonly #model: string;
  readonly #source: NetworkArrays;
  readonly #steps: NetworkStep[] = [];
  readonly #weights = new Map<string, NetworkArray>();

  /** @param source the arrays of the description, under its names. */
  constructor(model: string, source: NetworkArrays) {
    this.#model = model;
    this.#source = source;
  }

  add(step: NetworkStep): void {
    this.#steps.push(step);
  }

  /** An array of the description. @throws EvenkeelError `file` if there is none or its rank differs. */
  source(name: string, rank: number): NetworkArray {
    const array = this.#source.get(name);
    if (array === undefined) this.fail(`there are no weights ${name}`);
    if (array.shape.length !== rank) this.fail(`${name} is [${array.shape.join(", ")}], expected ${rank} axes`);
    return array;
  }

  /** Stores the kernel and bias of a convolution. @param bias of as many zeros if it is null. */
  convolution(name: string, kernel: NetworkArray, bias: NetworkArray | null): void {
    const [outputs = 0] = kernel.shape;
    if (bias !== null && bias.data.length !== outputs) {
      this.fail(`${name} has ${outputs} channels and ${bias.data.length} biases`);
    }
    const names = convolutionArrays(name);
    this.#weights.set(names.weight, kernel);
    this.#weights.set(names.bias, { shape: [outputs], data: bias?.data ?? new Float32Array(outputs) });
  }

  /**
   * Folds a batch normalization into the convolution before it: w' = a w, b' = a (b - mean) + beta with
   * a = gamma / sqrt(variance + epsilon), one for each output channel.
   */
  foldNormalization(
    name: string,
    arrays: {
      readonly gamma: NetworkArray | null;
      readonly beta: NetworkArray | null;
      readonly mean: NetworkArray;
      readonly variance: NetworkArray;
      readonly epsilon: number;
    },
  ): void {
    const names = convolutionArrays(name);
    const [kernel, bias] = [this.#weights.get(names.weight), this.#weights.get(names.bias)];
    if (kernel === undefined || bias === undefined) this.fail(`${name} is normalized and is no convolution`);
    const [outputs = 0] = kernel.shape;
    const parts = [arrays.gamma, arrays.beta, arrays.mean, arrays.variance];
    if (parts.some((part) => part !== null && part.data.length !== outputs)) {
      this.fail(`the normalization of ${name} is not of ${outputs} channels`);
    }
    const value = (array: NetworkArray | null, channel: number, otherwise: number): number =>
      array?.data[channel] ?? otherwise;
    const factors = Array.from(
      { length: outputs },
      (_, o) => value(arrays.gamma, o, 1) / Math.sqrt(value(arrays.variance, o, NaN) + arrays.epsilon),
    );
    const perOutput = kernel.data.length / outputs;
    const data = new Float32Array(kernel.data.length);
    for (const [o, factor] of factors.entries()) {
      for (let i = o * perOutput; i < (o + 1) * perOutput; i++) data[i] = (kernel.data[i] ?? NaN) * factor;
    }
    this.#weights.set(names.weight, { shape: kernel.shape, data });
    this.#weights.set(names.bias, {
      shape: [outputs],
      data: bias.data.map(
        (before, o) => (factors[o] ?? NaN) * (before - value(arrays.mean, o, NaN)) + value(arrays.beta, o, 0),
      ),
    });
  }

  /** The network of the steps so far. @throws EvenkeelError `file` if a weight isn't finite. */
  finish(head: Omit<FeatureNetwork, "steps">): LoadedNetwork {
    for (const [name, { data }] of this.#weights) {
      if (!data.every((value) => Number.isFinite(value))) this.fail(`${name} holds numbers that are not finite`);
    }
    return { network: { ...head, steps: this.#steps }, weights: this.#weights };
  }

  /** @throws EvenkeelError `file`, always. */
  fail(problem: string): never {
    throw new EvenkeelError("file", `${this.#model}: ${problem}.`);
  }
}

/** A kernel of TensorFlow's order [kh, kw, I, O] as [O, I, kh, kw]. */
export function convolutionKernel({ shape, data }: NetworkArray): NetworkArray {
  const [kh = 0, kw = 0, inputs = 0, outputs = 0] = shape;
  const taps = kh * kw;
  const result = new Float32Array(data.length);
  for (let tap = 0; tap < taps; tap++) {
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) {
        result[(o * inputs + i) * taps + tap] = data[(tap * inputs + i) * outputs + o] ?? NaN;
      }
    }
  }
  return { shape: [outputs, inputs, kh, kw], data: result };
}

/** A depthwise kernel of TensorFlow's order [kh, kw, C, M] as [C M, 1, kh, kw], for a convolution in C groups. */
export function depthwiseKernel({ shape, data }: NetworkArray): NetworkArray {
  const [kh = 0, kw = 0, channels = 0, multiplier = 0] = shape;
  const outputs = channels * multiplier;
  const flat = convolutionKernel({ shape: [kh, kw, 1, outputs], data });
  return { shape: [outputs, 1, kh, kw], data: flat.data };
}
