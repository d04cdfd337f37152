/** Sums of products: matrices, Einstein's notation, determinants. */
import { add, determinant, einsum, matmul, multiply, type Tensor, transpose } from "../../engine/index.ts";
import { flag, float, text, unused } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";

type GemmAttributes = {
  readonly alpha: number;
  readonly beta: number;
  readonly transA: boolean;
  readonly transB: boolean;
};

const gemmAttributes = { alpha: float.or(1), beta: float.or(1), transA: flag(false), transB: flag(false) };

/** alpha A B + beta C. */
function gemm(call: NodeCall, { alpha, beta, transA, transB }: GemmAttributes): Tensor {
  const side = (i: number, isTransposed: boolean): Tensor =>
    isTransposed ? transpose(call.tensor(i)) : call.tensor(i);
  const scaled = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : multiply(x, factor));
  const y = scaled(matmul(side(0, transA), side(1, transB)), alpha);
  return call.has(2) ? add(y, scaled(call.tensor(2), beta)) : y;
}

export const products: OperatorTable = {
  MatMul: operator({ build: (call) => matmul(call.tensor(0), call.tensor(1)) }),
  Gemm: [
    operator({ attributes: { ...gemmAttributes, broadcast: unused }, build: gemm }),
    operator({ since: 7, attributes: gemmAttributes, build: gemm }),
  ],
  Einsum: operator({
    since: 12,
    attributes: { equation: text.required },
    build: (call, { equation }) => einsum(equation, ...call.tensors()),
  }),
  Det: operator({ since: 11, build: (call) => determinant(call.tensor(0)) }),
};
