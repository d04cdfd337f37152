import {
  add,
  compile,
  conv2d,
  createDevice,
  createState,
  type DeviceName,
  divide,
  exp,
  matmul,
  multiply,
  reduceSum,
  softmax,
  subtract,
  type Tensor,
  tanh,
  tensor,
} from "../engine/index.ts";
import type { Availability } from "./contender.ts";
import { shapesOf, type Work } from "./work.ts";

/** Ten element-wise operations; every contender spells the same ones. */
function chain(x: Tensor, y: Tensor): Tensor {
  const a = add(multiply(x, y), 0.5);
  const b = subtract(multiply(a, a), multiply(x, 0.25));
  const c = divide(b, add(multiply(y, y), 1));
  return add(tanh(c), exp(multiply(c, -1)));
}

function apply(work: Work, inputs: readonly Tensor[]): Tensor {
  const [x, y] = inputs as readonly [Tensor, Tensor];
  switch (work.kind) {
    case "matmul":
      return matmul(x, y);
    case "conv":
      return conv2d(x, y, { padding: 1 });
    case "chain":
      return chain(x, y);
    case "reduce":
      return reduceSum(x, { axes: 1 });
    case "softmax":
      return softmax(x);
  }
}

/** One of our own devices. */
export async function evenkeelContender(name: DeviceName): Promise<Availability> {
  const title = `evenkeel ${name}`;
  try {
    const device = await createDevice(name);
    return {
      contender: {
        name: title,
        description: device.description,
        prepare: async (work, data) => {
          const shapes = shapesOf(work);
          const state = await createState(
            data.map((values, i) => tensor(values, { shape: shapes[i] ?? [] })),
            device,
          );
          const fn = compile((inputs: readonly Tensor[]) => apply(work, inputs), { device });
          return {
            run: async () => (await (await fn(state)).data()) as Float32Array,
            dispose: () => {
              fn.dispose();
              state.dispose();
            },
          };
        },
        dispose: () => device.dispose(),
      },
    };
  } catch (reason) {
    return { name: title, missing: reason instanceof Error ? reason.message : String(reason) };
  }
}
