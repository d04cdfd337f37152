import { type DType, EvenkeelError, type NumberArray, type Shape, type Tensor, tensor } from "../../engine/index.ts";

/**
 * Rows of data that lie on the host, with these numbers: a tensor [rows taken, ...shape]. Data of a whole set may be bytes; the tensor is f32
 * unless told otherwise.
 * @param shape of one row.
 * @throws EvenkeelError `shape` if the data aren't rows of it, `range` for a row that there isn't, `value` for what the dtype can't hold.
 * @example
 * ```ts
 * const pixels = Uint8Array.of(1, 2, 3, 4, 5, 6);
 * console.log(await takeRows(pixels, [2], [2, 0]).array()); // [ [ 5, 6 ], [ 1, 2 ] ]
 * ```
 */
export function takeRows(data: NumberArray, shape: Shape, index: ArrayLike<number>, dtype: DType = "f32"): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const rows = data.length / size;
  if (!Number.isInteger(rows)) {
    throw new EvenkeelError(
      "shape",
      `takeRows: ${data.length} numbers aren't rows of [${shape.join(", ")}], ${size} each.`,
    );
  }
  // What float32 can't hold is rounded; other dtypes are told by `tensor` what they can't.
  const taken = new (dtype === "f32" ? Float32Array : Float64Array)(index.length * size);
  for (let i = 0; i < index.length; i++) {
    const row = index[i] ?? NaN;
    if (!(Number.isInteger(row) && row >= 0 && row < rows)) {
      throw new EvenkeelError("range", `takeRows: there is no row ${row} of ${rows}.`);
    }
    for (let j = 0; j < size; j++) taken[i * size + j] = Number(data[row * size + j] ?? NaN);
  }
  return tensor(taken, { shape: [index.length, ...shape], dtype });
}
