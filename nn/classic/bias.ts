import { add, reshape, type Tensor } from "../../engine/index.ts";

/** Adds bias [C] to the channels of x [N, C, ...]. */
export function addBias(x: Tensor, bias: Tensor): Tensor {
  return add(x, perChannel(bias, x.rank));
}

/** A vector [C] of as many axes as an activation [N, C, ...] has. */
export function perChannel(vector: Tensor, rank: number): Tensor {
  return reshape(vector, [1, vector.size, ...Array.from({ length: rank - 2 }, () => 1)]);
}
