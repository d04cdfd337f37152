import {
  add,
  cast,
  compileStep,
  conv2d,
  createDevice,
  createState,
  type Device,
  type DeviceName,
  divide,
  einsum,
  exp,
  gather,
  matmul,
  maximum,
  mean,
  minimum,
  multiply,
  reduceSum,
  scalar,
  silu,
  softmax,
  sqrt,
  square,
  subtract,
  type Tensor,
  tanh,
  tensor,
  valueAndGrad,
  vjp,
} from "../engine/index.ts";
import { type Availability, type Contender, type PreparedWork } from "./contender.ts";
import { headChannels, inputsOf, normEpsilon, type Work } from "./work.ts";

/** Ten element-wise operations; every contender spells the same ones. */
function arithmeticChain(x: Tensor, y: Tensor): Tensor {
  const a = add(multiply(x, y), 0.5);
  const b = subtract(multiply(a, a), x);
  const c = add(multiply(maximum(b, y), 0.75), x);
  return subtract(minimum(multiply(c, a), y), b);
}

function smoothChain(x: Tensor, y: Tensor): Tensor {
  const a = add(multiply(x, y), 0.5);
  const b = subtract(multiply(a, a), multiply(x, 0.25));
  const c = divide(b, add(multiply(y, y), 1));
  return add(tanh(c), exp(multiply(c, -1)));
}

function attention(q: Tensor, k: Tensor, v: Tensor): Tensor {
  const logits = multiply(einsum("nhqc,nhkc->nhqk", q, k), 1 / Math.sqrt(headChannels));
  return einsum("nhqk,nhkc->nhqc", softmax(logits), v);
}

function normalizeRows(x: Tensor): Tensor {
  const meanOf = (values: Tensor): Tensor => mean(values, { axes: 1, keepAxes: true });
  const centred = subtract(x, meanOf(x));
  return divide(centred, sqrt(add(meanOf(square(centred)), normEpsilon)));
}

/** The result, and the gradient of all inputs but the last, which is the result's cotangent. */
function withGradients(inputs: readonly Tensor[], apply: (inputs: readonly Tensor[]) => Tensor): Tensor[] {
  const cotangent = inputs.at(-1) as Tensor;
  const { value, pullback } = vjp(apply, inputs.slice(0, -1) as readonly Tensor[]);
  return [value, ...pullback(cotangent)];
}

function apply(work: Work, inputs: readonly Tensor[]): Tensor[] {
  const [x, y] = inputs as readonly [Tensor, Tensor];
  switch (work.kind) {
    case "matmul":
      return [matmul(x, y)];
    case "conv": {
      const padding = (work.kernel - 1) / 2;
      if (!work.gradients) return [conv2d(x, y, { padding })];
      return withGradients(inputs, ([image, filter]) => conv2d(image as Tensor, filter as Tensor, { padding }));
    }
    case "attention": {
      const attend = ([q, k, v]: readonly Tensor[]): Tensor => attention(q as Tensor, k as Tensor, v as Tensor);
      return work.gradients ? withGradients(inputs, attend) : [attend(inputs)];
    }
    case "convNet": {
      const [image, ...filters] = inputs as [Tensor, ...Tensor[]];
      const net = (weights: readonly Tensor[]): Tensor =>
        mean(square(weights.reduce((h, weight) => silu(conv2d(h, weight, { padding: 1 })), image)));
      const { value, gradient } = valueAndGrad(net)(filters);
      return [value, ...gradient];
    }
    case "chain":
      return [work.functions === "smooth" ? smoothChain(x, y) : arithmeticChain(x, y)];
    case "reduce":
      return [reduceSum(x, { axes: work.axis })];
    case "embedding": {
      const place = multiply(add(multiply(y, 0.5), 0.5), work.rows);
      const index = cast(minimum(place, work.rows - 1), "i32");
      return withGradients([x, inputs.at(-1) as Tensor], ([table]) => gather(table as Tensor, index));
    }
    case "softmax":
      return work.gradients ? withGradients(inputs, ([rows]) => softmax(rows as Tensor)) : [softmax(x)];
    case "norm":
      return work.gradients ? withGradients(inputs, ([rows]) => normalizeRows(rows as Tensor)) : [normalizeRows(x)];
  }
}

type Arrays = {
  readonly inputs: readonly Tensor[];
  readonly results: readonly Tensor[];
  /** Stays as it is. Reading it, one number, is how a GPU is waited for. */
  readonly mark: Tensor;
};

/** Results stay on the device, as those of native engines stay where they were computed. */
async function prepare(device: Device, work: Work, data: readonly Float32Array[]): Promise<PreparedWork> {
  const shapes = inputsOf(work).map(({ shape }) => shape);
  const inputs = data.map((values, i) => tensor(values, { shape: shapes[i] ?? [] }));
  // A state has its size from the start: that of the results.
  const results = apply(work, inputs).map(({ shape, size }) => tensor(new Float32Array(size), { shape }));
  const state = await createState<Arrays>({ inputs, results, mark: scalar(0) }, device);
  const step = compileStep(
    (arrays: Arrays) => ({ state: { ...arrays, results: apply(work, arrays.inputs) }, result: null }),
    { device },
  );
  return {
    measure: async (times) => {
      const start = performance.now();
      for (let i = 0; i < times; i++) await step.advance(state);
      if (device.traits.adapter !== null) await state.read(({ mark }) => mark);
      return (performance.now() - start) / 1e3;
    },
    results: async () => {
      await step.advance(state);
      const read = (await state.read()).results;
      return Promise.all(read.map((result) => result.data("f32")));
    },
    dispose: () => {
      step.dispose();
      state.dispose();
    },
  };
}

/** A device of ours that is there. */
export function deviceContender(name: string, device: Device): Contender {
  return {
    name,
    description: device.description,
    prepare: (work, data) => prepare(device, work, data),
    dispose: () => device.dispose(),
  };
}

/** One of our own devices, made for this. `threads` is for `wasm`. */
export async function evenkeelContender(name: DeviceName, threads: number): Promise<Availability> {
  const title = `evenkeel ${name}`;
  try {
    return { contender: deviceContender(title, await createDevice(name, { wasm: { threads, relaxed: true } })) };
  } catch (reason) {
    return { name: title, missing: reason instanceof Error ? reason.message : String(reason) };
  }
}
