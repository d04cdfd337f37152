/** What a page can be asked to run: cases by name. No Node imports here, nor in anything this imports. */
import { type RunOptions, runTraining } from "../../diffusion/run/index.ts";
import { explainTraining, Trainer } from "../../diffusion/training/index.ts";
import type { Device } from "../../engine/devices/device.ts";
import {
  broadcastTo,
  compile,
  compileStep,
  createDevice,
  createState,
  matmul,
  mean,
  multiply,
  square,
  subtract,
  type Tensor,
  tensor,
  threefry,
  valueAndGrad,
} from "../../engine/index.ts";
import { memoryFolder, type OriginDirectoryHandle, originFolder, readWhole } from "../../engine/io/index.ts";
import { flatOptions, smallBatch, smallOptions } from "../diffusion/training/smallRun.ts";
import { accuracies } from "../../testing/bounds/accuracies.ts";
import { checkFolder } from "../support/folderLaw.ts";
import { checkPrograms } from "../../testing/laws/programLaw.ts";
import { findUnrefused, mistakeNames } from "../../testing/laws/refusalLaw.ts";
import { wrongFloats, wrongIntegers } from "../support/wholeDivision.ts";

/** What a case found on a device, and the numbers that it is to be compared by with other devices, if there are. */
export type CaseReport = {
  readonly ran: number;
  readonly failures: readonly string[];
  readonly numbers?: readonly number[];
  /** What the numbers are of. */
  readonly names?: readonly string[];
};

/** Runs `count` instances drawn from `seed` on a device. */
export type BrowserCase = (device: Device, seed: number, count: number) => Promise<CaseReport>;

/** Gradient descent on a least-squares problem, `count` steps with the weights on the device, against float64 on the host. */
const gradientDescent: BrowserCase = async (device, seed, count) => {
  const [rows, columns, rate] = [16, 4, 0.1];
  const draw = (i: number): number => Math.fround(Math.sin(12.9898 * (i + 1) + seed));
  const x = Float32Array.from({ length: rows * columns }, (_, i) => draw(i));
  const y = Float32Array.from({ length: rows }, (_, i) => draw(1000 + i));
  const [inputs, targets] = [tensor(x, { shape: [rows, columns] }), tensor(y, { shape: [rows, 1] })];
  const loss = valueAndGrad((w: Tensor) => mean(square(subtract(matmul(inputs, w), broadcastTo(targets, [rows, 1])))));
  const step = compileStep(
    (w: Tensor) => {
      const { value, gradient } = loss(w);
      return { state: subtract(w, multiply(gradient, rate)), result: value };
    },
    { device },
  );
  const state = await createState(tensor(new Float32Array(columns), { shape: [columns, 1] }), device);
  const failures: string[] = [];
  let weights = Array.from({ length: columns }, () => 0);
  for (let i = 0; i < count; i++) {
    const errors = [...y].map((wanted, row) =>
      weights.reduce((sum, weight, column) => sum + weight * (x[row * columns + column] ?? 0), -wanted),
    );
    const expected = errors.reduce((sum, error) => sum + error * error, 0) / rows;
    const got = await (await step(state)).item();
    // A sum of 16 terms below 4, each a product of sums of 4: under 100 roundings of 2^-24, and the problem is well conditioned.
    if (!(Math.abs(got - expected) <= 100 * 2 ** -24 * Math.max(1, expected))) {
      failures.push(`step ${i}: loss ${got}, expected ${expected}`);
    }
    weights = weights.map((weight, column) => {
      const slope = errors.reduce((sum, error, row) => sum + error * (x[row * columns + column] ?? 0), 0);
      return weight - (rate * 2 * slope) / rows;
    });
  }
  state.dispose();
  step.dispose();
  return { ran: count, failures };
};

/** Key, counter and result of Threefry-2x32-20 in the vectors that Random123 publishes. */
const threefryVectors = [
  { key: [0, 0], counter: [0, 0], result: [0x6b200159, 0x99ba4efe] },
  { key: [0xffffffff, 0xffffffff], counter: [0xffffffff, 0xffffffff], result: [0x1cb996fc, 0xbb002be7] },
  { key: [0x13198a2e, 0x03707344], counter: [0x243f6a88, 0x85a308d3], result: [0xc4923a9c, 0x483df7a0] },
] as const;

/** Random bits, exactly: 32-bit additions, rotations and exclusive ors. */
const randomBits: BrowserCase = async (device) => {
  const column = (from: "key" | "counter", word: 0 | 1) =>
    tensor(Uint32Array.from(threefryVectors, (vector) => vector[from][word]));
  const words = compile(
    (key0: Tensor, key1: Tensor) => {
      const counter = [column("counter", 0), column("counter", 1)] as const;
      return [threefry(0, [key0, key1], counter), threefry(1, [key0, key1], counter)] as const;
    },
    { device },
  );
  const [first, second] = await words(column("key", 0), column("key", 1));
  const got = [await first.data(), await second.data()];
  words.dispose();
  const failures = threefryVectors.flatMap(({ result }, i) =>
    result.flatMap((wanted, word) =>
      got[word]?.[i] === wanted ? [] : [`vector ${i}, word ${word}: ${got[word]?.[i]}, expected ${wanted}`],
    ),
  );
  return { ran: threefryVectors.length, failures };
};

/** The law of random programs: results within the bounds that the oracle gives. */
const randomPrograms: BrowserCase = async (device, seed, count) => {
  try {
    const { compared } = await checkPrograms(device, { runs: count, seed, accuracy: accuracies[device.name] });
    return { ran: compared, failures: [] };
  } catch (reason) {
    return { ran: count, failures: [reason instanceof Error ? reason.message : String(reason)] };
  }
};

/** The law of whole division, of integers and of floats. */
const wholeDivision: BrowserCase = async (device, seed, count) => {
  const isShader = !accuracies[device.name].specialValues;
  const failures = [
    ...(await wrongIntegers(device, seed, count)),
    ...(await wrongFloats(device, seed, count, isShader)),
  ];
  return { ran: count, failures };
};

/** The law of refusals, on two devices of its own, for it disposes of one. */
const refusals: BrowserCase = async ({ name }, seed, count) => {
  const [own, other] = [await createDevice(name), await createDevice(name)];
  try {
    return { ran: count * mistakeNames.length, failures: await findUnrefused(own, other, { runs: count, seed }) };
  } finally {
    own.dispose();
    other.dispose();
  }
};

/** What is told of the programs of a step in parts: the source and the time of every kernel. */
const explanation: BrowserCase = async (device) => {
  // In parts, and so by two programs; and of one level, as each kernel is compiled by software.
  const programs = await explainTraining({ ...flatOptions, batch: 4, batchDevice: 2 }, device, { profile: true });
  const kernels = programs.flatMap(({ name, explanation: { kernels } }) =>
    kernels.map((kernel) => ({ ...kernel, name: `${name}: ${kernel.name}` })),
  );
  const failures = kernels.flatMap(({ name, sources, milliseconds }) => {
    const isWhole = sources.length > 0 && sources.every(({ text }) => text.length > 0) && milliseconds !== undefined;
    return isWhole ? [] : [`${name} has ${sources.length} sources and took ${milliseconds} ms`];
  });
  return { ran: kernels.length, failures };
};

/** Training of a network with every kind of layer: the loss of each step. */
const training: BrowserCase = async (device, seed, count) => {
  const batch = 2;
  const trainer = await Trainer.create({ ...smallOptions, batch, batchDevice: batch, seed }, device);
  const numbers: number[] = [];
  try {
    for (let step = 0; step < count; step++) numbers.push((await trainer.step(smallBatch(trainer.nimg, batch))).loss);
  } finally {
    trainer.dispose();
  }
  return { ran: count, failures: [], numbers };
};

/** The law of folders, in what the browser keeps for the page. */
const folders: BrowserCase = async (_, seed, count) => {
  const storage = await pageStorage();
  if (storage === undefined) return { ran: 0, failures: ["there is no storage"] };
  try {
    await checkFolder(originFolder(storage, "law"), { runs: count, seed });
    return { ran: count, failures: [] };
  } catch (reason) {
    const { message, cause } = reason as Error;
    return { ran: count, failures: [`${message}\n${String(cause)}`] };
  }
};

/**
 * A run of `count` steps, stopped after half of them and gone on with from its folder, wherever that lies: what its files are called, and
 * the bits of its last checkpoint, averages and dynamics, as a checksum each.
 */
const storedRun: BrowserCase = async (device, seed, count) => {
  const storage = await pageStorage();
  const folder = storage === undefined ? memoryFolder() : originFolder(storage, "run");
  const stop = new AbortController();
  const options: RunOptions = {
    folder,
    training: { ...smallOptions, seed },
    duration: count * smallOptions.batch,
    intervals: { status: 0, snapshot: 0, checkpoint: 0, samples: 0, validation: 0 },
    dynamicsEvery: 2,
    snapshotDtype: "F16",
    classNames: null,
    device,
    fixed: {},
    nextBatch: smallBatch,
  };
  const isHalf = ({ nimg }: { readonly nimg: number }): void => {
    if (nimg * 2 >= options.duration) stop.abort();
  };
  await runTraining({ ...options, signal: stop.signal }, { stepped: isHalf });
  const { finished } = await runTraining(options);
  const names = await folder.list();
  const numbers: number[] = [];
  for (const name of names) {
    const bytes = await readWhole(folder.file(name));
    // FNV-1a
    numbers.push(bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5));
    await folder.file(name).remove();
  }
  return { ran: count, failures: finished ? [] : ["it isn't finished"], numbers, names };
};

/** What a browser keeps for the page; undefined in Node. */
const pageStorage = async (): Promise<OriginDirectoryHandle | undefined> => {
  const { navigator } = globalThis as {
    readonly navigator?: { readonly storage?: { getDirectory(): Promise<OriginDirectoryHandle> } };
  };
  return navigator?.storage?.getDirectory();
};

export const cases = {
  gradientDescent,
  randomBits,
  randomPrograms,
  wholeDivision,
  refusals,
  explanation,
  training,
  folders,
  storedRun,
} as const satisfies Readonly<Record<string, BrowserCase>>;

export type CaseName = keyof typeof cases;
