/**
 * A small convolutional network with its gradients, to look at:
 *   npx evenkeel explain examples/explainConvNet.ts --html convnet.html
 */
import {
  conv2d,
  foldIn,
  mean,
  randomKey,
  randomNormal,
  silu,
  square,
  type Tensor,
  valueAndGrad,
} from "evenkeel/engine";

const random = (stream: number, shape: readonly number[]): Tensor => randomNormal(foldIn(randomKey(0), stream), shape);

const weights = [random(0, [32, 3, 3, 3]), random(1, [32, 32, 3, 3]), random(2, [3, 32, 3, 3])];

/** Mean square of the output of three convolutions. */
function loss(layers: readonly Tensor[], x: Tensor): Tensor {
  return mean(square(layers.reduce((activation, weight) => silu(conv2d(activation, weight, { padding: 1 })), x)));
}

export default { fn: valueAndGrad(loss), args: [weights, random(3, [8, 3, 16, 16])] };
