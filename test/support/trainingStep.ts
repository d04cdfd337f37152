/** A small training loop that keeps everything on the device, for tests of memory. */
import {
  add,
  compileStep,
  createState,
  type Device,
  foldIn,
  matmul,
  mean,
  multiply,
  randomKey,
  randomNormal,
  scalar,
  square,
  subtract,
  type Tensor,
  tanh,
  valueAndGrad,
  zeros,
} from "../../engine/index.ts";

type Net = { w: Tensor; v: Tensor };

/** A training step with parameters, momentum and a counter on the device; random data drawn in the graph. */
export function makeStep(device: Device) {
  const loss = (net: Net, x: Tensor): Tensor => mean(square(subtract(matmul(tanh(matmul(x, net.w)), net.v), x)));
  return compileStep(
    (state: { net: Net; momentum: Net; count: Tensor }, rate: Tensor) => {
      const x = randomNormal(foldIn(randomKey(5), state.count), [16, 8]);
      const { value, gradient } = valueAndGrad(loss)(state.net, x);
      const move = (name: keyof Net): Tensor => add(multiply(state.momentum[name], 0.9), gradient[name]);
      const momentum = { w: move("w"), v: move("v") };
      const net = {
        w: subtract(state.net.w, multiply(momentum.w, rate)),
        v: subtract(state.net.v, multiply(momentum.v, rate)),
      };
      return { state: { net, momentum, count: add(state.count, 1) }, result: value };
    },
    { device },
  );
}

export async function startState(device: Device) {
  const net = {
    w: multiply(randomNormal(randomKey(1), [8, 12]), 0.3),
    v: multiply(randomNormal(randomKey(2), [12, 8]), 0.3),
  };
  return createState({ net, momentum: { w: zeros([8, 12]), v: zeros([12, 8]) }, count: scalar(0, "u32") }, device);
}
