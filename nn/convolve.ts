import { conv2d, EvenkeelError, matmul, type Tensor, transpose } from "../engine/index.ts";

/**
 * Linear layer (x [N, in], weight [out, in]) or convolution with zeros around (x [N, in, H, W], weight [out, in, kh, kw] with odd
 * kernels). @throws EvenkeelError `shape` if weight is neither.
 */
export function convolve(x: Tensor, weight: Tensor, operation = "convolve"): Tensor {
  const [, , height = 1, width = 1] = weight.shape;
  if ((weight.rank !== 2 && weight.rank !== 4) || height % 2 === 0 || width % 2 === 0) {
    throw new EvenkeelError(
      "shape",
      `${operation}: weight [${weight.shape.join(", ")}] is neither [out, in] nor [out, in, kh, kw] with odd kh and kw.`,
    );
  }
  if (weight.rank === 2) return matmul(x, transpose(weight));
  return conv2d(x, weight, { padding: [(height - 1) / 2, (width - 1) / 2] });
}
