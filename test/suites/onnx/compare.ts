import type { OnnxTensor } from "../../../onnx/format/model.ts";

/** The bounds of ONNX's own runner (numpy.testing.assert_allclose): |got - wanted| <= absolute + relative * |wanted|. */
const [relative, absolute] = [1e-3, 1e-7];

/**
 * What is wrong with a result, or undefined: another shape, floats out of bounds, other integers or truth values, NaN or infinities
 * elsewhere.
 */
export function difference(
  got: ArrayLike<number>,
  shape: readonly number[],
  isFloat: boolean,
  wanted: OnnxTensor,
): string | undefined {
  if (shape.join() !== wanted.shape.join()) return `shape [${shape.join(", ")}], expected [${wanted.shape.join(", ")}]`;
  let [first, count]: [string | undefined, number] = [undefined, 0];
  for (let i = 0; i < wanted.data.length; i++) {
    const [a, b] = [got[i] ?? NaN, Number(wanted.data[i])];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const isNear = isFloat && Math.abs(a - b) <= absolute + relative * Math.abs(b);
    if (isNear && Number.isFinite(a)) continue;
    first ??= `element ${i} is ${a}, expected ${b}`;
    count++;
  }
  return first === undefined ? undefined : `${first}; ${count} of ${wanted.data.length} differ`;
}
