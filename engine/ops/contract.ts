import { EvenkeelError } from "../errors.ts";
import { makeNode } from "../graph/graph.ts";
import { at, broadcastShapes, formatShape, sizeOf } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { broadcastTo, expandDims, reshape, squeeze } from "./movement.ts";
import { requireDtype } from "./elementwise.ts";

/**
 * Matrix product over the last two axes, as NumPy's `@`: [.., M, K] @ [.., K, N] = [.., M, N], axes in front broadcast,
 * a vector is a row on the left and a column on the right. f32. Where the right side is one matrix, all rows of the left are multiplied by
 * it in one product, and its derivative is one product, too.
 * @throws EvenkeelError `shape` if the inner sizes differ or the batch axes don't broadcast.
 * @example console.log(await matmul(tensor([[1, 2], [3, 4]]), tensor([1, 10])).array()); // [ 21, 43 ]
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  if (a.rank === 0 || b.rank === 0) {
    throw new EvenkeelError(
      "shape",
      `matmul: ${formatShape(a.shape)} @ ${formatShape(b.shape)}: a scalar has no inner axis. Use multiply.`,
    );
  }
  requireDtype("matmul", a.dtype, ["f32"]);
  requireDtype("matmul", b.dtype, ["f32"]);
  const left = a.rank === 1 ? expandDims(a, 0) : a;
  const right = b.rank === 1 ? expandDims(b, 1) : b;
  const [rows, inner] = [at(left.shape, left.rank - 2), at(left.shape, left.rank - 1)];
  const [rightInner, columns] = [at(right.shape, right.rank - 2), at(right.shape, right.rank - 1)];
  if (inner !== rightInner) {
    throw new EvenkeelError(
      "shape",
      `matmul: inner dimensions differ: ${formatShape(a.shape)} @ ${formatShape(b.shape)}.`,
    );
  }
  const batch = broadcastShapes("matmul", left.shape.slice(0, -2), right.shape.slice(0, -2));
  const isOneMatrix = sizeOf(right.shape.slice(0, -2)) === 1;
  const flat = (x: Tensor): Tensor => {
    const matrix = x.shape.slice(-2);
    if (isOneMatrix) return reshape(x, [1, x === right ? inner : sizeOf(x.shape.slice(0, -1)), at(matrix, 1)]);
    return reshape(broadcastTo(x, [...batch, ...matrix]), [sizeOf(batch), ...matrix]);
  };
  const product = new Tensor(makeNode("matmul", [flat(left).node, flat(right).node], {}));
  const full = reshape(product, [...batch, rows, columns]);
  if (a.rank === 1) return squeeze(full, b.rank === 1 ? [-2, -1] : -2);
  return b.rank === 1 ? squeeze(full, -1) : full;
}
