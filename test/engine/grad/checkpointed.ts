/** A chain of blocks whose derivative may compute their insides again. */
import {
  add,
  checkpoint,
  exp,
  foldIn,
  matmul,
  multiply,
  randomBernoulli,
  randomKey,
  reduceSum,
  rootMeanSquare,
  sigmoid,
  square,
  subtract,
  tanh,
  type Tensor,
  tensor,
  valueAndGrad,
  where,
} from "../../../engine/index.ts";
import { at } from "../../../engine/graph/shape.ts";

export type Wrap = typeof checkpoint;
export const plain: Wrap = (fn) => fn;

export const width = 32;
export type Layer = { readonly up: Tensor; readonly down: Tensor };

/** A residual block with closures, a norm and dropout. */
function block(x: Tensor, { up, down }: Layer, scale: Tensor, key: Tensor): Tensor {
  const normed = multiply(x, divideByNorm(x));
  const hidden = multiply(sigmoid(matmul(normed, up)), tanh(matmul(x, up)));
  const dropped = where(randomBernoulli(key, hidden.shape, 0.25), 0, hidden);
  return add(x, multiply(matmul(dropped, down), scale));
}

const divideByNorm = (x: Tensor): Tensor => exp(multiply(square(rootMeanSquare(x, { axes: 1, keepAxes: true })), -1));

/** A chain of blocks; later ones also read what earlier ones gave. */
export function loss(layers: readonly Layer[], x: Tensor, scale: Tensor, wrap: Wrap): Tensor {
  const outputs: Tensor[] = [x];
  layers.forEach((layer, i) => {
    const key = foldIn(randomKey(3), i);
    // The layer comes in as an argument, the rest by closure.
    const applied = wrap((h: Tensor, own: Layer) => block(h, own, scale, key));
    const input = i % 3 === 2 ? add(at(outputs, i), at(outputs, i - 1)) : at(outputs, i);
    outputs.push(applied(input, layer));
  });
  return reduceSum(square(subtract(at(outputs, layers.length), x)));
}

export const layersOf = (count: number): Layer[] =>
  Array.from({ length: count }, (_, i) => ({ up: wave([width, 2 * width], i), down: wave([2 * width, width], 7 + i) }));

export function wave(shape: readonly number[], phase: number): Tensor {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.3 * i + phase) / 4);
  return tensor(data, { shape });
}

export const gradientOf =
  (wrap: Wrap) =>
  (layers: Layer[], x: Tensor, scale: Tensor): unknown =>
    valueAndGrad((p: { layers: Layer[]; x: Tensor; scale: Tensor }) => loss(p.layers, p.x, p.scale, wrap))({
      layers,
      x,
      scale,
    });
