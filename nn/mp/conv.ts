import { conv2d, EvenkeelError, matmul, multiply, type Tensor, transpose } from "../../engine/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import { normalize } from "./normalize.ts";

/** A layer that is one array of weights: linear [out, in], or convolution [out, in, kh, kw]. */
export type WeightParameters<T = Tensor> = { readonly weight: T };

/** A magnitude-preserving layer's weights: N(0, 1). `kernel` is [] for a linear layer. */
export function describeMpConv(
  inChannels: number,
  outChannels: number,
  kernel: readonly number[],
): WeightParameters<ParameterSpec> {
  return {
    weight: {
      shape: [outChannels, inChannels, ...kernel],
      role: "weight",
      init: { kind: "normal", scale: 1 },
    },
  };
}

/**
 * Linear layer (x [N, in]) or convolution with zeros around (x [N, in, H, W], odd kernels) whose weights are normalized for each
 * output and divided by sqrt(fan-in), times `gain`: unit magnitude in, unit magnitude out. Derivatives pass through the
 * normalization. Karras et al. 2024, Eq. 47 and 66.
 * @throws EvenkeelError `shape` if weight is neither [out, in] nor [out, in, kh, kw] with odd kh, kw.
 */
export function mpConv(x: Tensor, weight: Tensor, gain: Tensor | number = 1): Tensor {
  const [, fanChannels = 0, height = 1, width = 1] = weight.shape;
  if ((weight.rank !== 2 && weight.rank !== 4) || height % 2 === 0 || width % 2 === 0) {
    throw new EvenkeelError(
      "shape",
      `mpConv: weight [${weight.shape.join(", ")}] is neither [out, in] nor [out, in, kh, kw] with odd kh and kw.`,
    );
  }
  const scale = multiply(gain, 1 / Math.sqrt(fanChannels * height * width));
  const effective = multiply(normalize(weight), scale);
  if (weight.rank === 2) return matmul(x, transpose(effective));
  return conv2d(x, effective, { padding: [(height - 1) / 2, (width - 1) / 2] });
}

/**
 * Forced weight normalization: the stored weight itself set to unit magnitude for each output, before each training step
 * and outside of its gradient. Keeps the size of Adam's steps relative to the weights. Karras et al. 2024, section 2.3.
 */
export function forceNormalize(weight: Tensor): Tensor {
  return normalize(weight);
}
