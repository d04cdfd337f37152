/** The law of what devices refuse: equal mistakes get equal error codes, change nothing and leave nothing behind. */
import fc from "fast-check";
import type { Device, DeviceBuffer } from "../../engine/devices/device.ts";
import { EvenkeelError, type ErrorCode } from "../../engine/errors.ts";
import { allocateData, type DType, dtypes, type TensorData } from "../../engine/graph/dtype.ts";
import { type Graph, makeNode } from "../../engine/graph/graph.ts";
import { at } from "../../engine/graph/shape.ts";
import { Tensor } from "../../engine/graph/tensor.ts";
import { add, not } from "../../engine/index.ts";
import { Program } from "../../engine/program/program.ts";
import { downloaded } from "../devices/downloaded.ts";

/** A program's inputs (the first two are alike) and, for each further output, the input it is made of. */
type Spec = {
  readonly dtypes: readonly DType[];
  readonly lengths: readonly number[];
  readonly outputs: readonly number[];
  /** Says which place of several is mistaken. */
  readonly place: number;
};

const specs: fc.Arbitrary<Spec> = fc.record({
  dtypes: fc.array(fc.constantFrom(...dtypes), { minLength: 1, maxLength: 3 }),
  lengths: fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 3, maxLength: 3 }),
  outputs: fc.array(fc.nat(9), { maxLength: 2 }),
  place: fc.nat(99),
});

/** A program with buffers that are right for it, and a device beside it. */
type Bench = {
  readonly device: Device;
  readonly other: Device;
  readonly graph: Graph;
  readonly program: Program;
  readonly inputs: readonly DeviceBuffer[];
  /** Output 0 is input 0 unchanged, in its place if the device has such a thing; 1 and 2 are alike. */
  readonly outputs: readonly DeviceBuffer[];
  /** Buffers of the device to be used wrongly. */
  readonly allocate: (dtype: DType, length: number) => DeviceBuffer;
  readonly place: number;
};

/** One kind of mistake; `undefined` if it can't be made there. */
type Mistake = {
  readonly name: string;
  readonly code: ErrorCode;
  readonly make: (bench: Bench) => Promise<unknown> | undefined;
};

/** What a mistake does at once counts as if it did it later. */
const soon = async (call: () => unknown): Promise<unknown> => call();

const anotherDtype = (dtype: DType, place: number): DType => at(dtypes, (dtypes.indexOf(dtype) + 1 + (place % 3)) % 4);

const dataFor = ({ dtype, length }: DeviceBuffer): TensorData => allocateData(dtype, length);

const pick = <T>(list: readonly T[], place: number): T => at(list, place % list.length);

const replace = <T>(list: readonly T[], place: number, by: (old: T) => T): T[] =>
  list.map((old, i) => (i === place % list.length ? by(old) : old));

const freed = ({ device, allocate }: Bench, { dtype, length }: DeviceBuffer): DeviceBuffer => {
  const buffer = allocate(dtype, length);
  device.free(buffer);
  return buffer;
};

const foreign = ({ other }: Bench, { dtype, length }: DeviceBuffer): DeviceBuffer => other.allocate(dtype, length);

const lengths = [-1, NaN, 1.5, Infinity, -Infinity, -0.5];

const allocations: readonly Mistake[] = [
  ...lengths.map((length): Mistake => {
    return {
      name: `allocate ${length}`,
      code: "range",
      make: ({ device, place }) => soon(() => device.allocate(pick(dtypes, place), length)),
    };
  }),
  {
    name: "allocate more than a buffer holds",
    code: "memory",
    make: ({ device, place }) => {
      const { elements } = device.limits;
      return soon(() => device.allocate(pick(dtypes, place), elements === Infinity ? 2 ** 50 : elements + 1));
    },
  },
  {
    name: "allocate more than there is",
    code: "memory",
    make: ({ device, place }) => soon(() => device.allocate(pick(dtypes, place), 2 ** 50)),
  },
  {
    name: "allocate an unknown dtype",
    code: "dtype",
    make: ({ device }) => soon(() => device.allocate("f64" as DType, 4)),
  },
];

const transfers: readonly Mistake[] = [
  ...[-1, 1, 5].map((more): Mistake => {
    return {
      name: `upload ${more} elements too many`,
      code: "shape",
      make: ({ device, outputs, place }) => {
        const { dtype, length } = pick(outputs, place);
        return soon(() => device.upload(pick(outputs, place), allocateData(dtype, length + more)));
      },
    };
  }),
  {
    name: "upload another dtype",
    code: "dtype",
    make: ({ device, outputs, place }) => {
      const target = pick(outputs, place);
      return soon(() => device.upload(target, allocateData(anotherDtype(target.dtype, place), target.length)));
    },
  },
  {
    name: "upload an array of no dtype",
    code: "dtype",
    make: ({ device, outputs, place }) => {
      const target = pick(outputs, place);
      return soon(() => device.upload(target, new Float64Array(target.length) as unknown as TensorData));
    },
  },
  ...([foreign, freed] as const).flatMap((wrong): Mistake[] => {
    const code = wrong === foreign ? "device" : "disposed";
    const what = wrong === foreign ? "a foreign buffer" : "a freed buffer";
    const calls: Readonly<Record<string, (device: Device, buffer: DeviceBuffer) => unknown>> = {
      upload: (device, buffer) => device.upload(buffer, dataFor(buffer)),
      download: (device, buffer) => device.download([buffer]),
      free: (device, buffer) => device.free(buffer),
    };
    const alone = Object.entries(calls).map(
      ([name, call]): Mistake => ({
        name: `${name} ${what}`,
        code,
        make: (bench) => {
          const buffer = wrong(bench, pick(bench.outputs, bench.place));
          return soon(() => call(bench.device, buffer));
        },
      }),
    );
    const among: Mistake = {
      name: `download ${what} among others`,
      code,
      make: (bench) => bench.device.download(replace(bench.outputs, bench.place, (right) => wrong(bench, right))),
    };
    return [...alone, among];
  }),
];

/** Moves from what may be read to a buffer of its kind, but for one thing. */
const moves: readonly Mistake[] = [
  ...[-1, 1, 5].map((more): Mistake => {
    return {
      name: `move to a buffer of ${more} elements too many`,
      code: "shape",
      make: ({ device, outputs, allocate, place }) => {
        const { dtype, length } = pick(outputs, place);
        return soon(() => device.move([pick(outputs, place)], [allocate(dtype, length + more)]));
      },
    };
  }),
  {
    name: "move to another dtype",
    code: "dtype",
    make: ({ device, outputs, allocate, place }) => {
      const { dtype, length } = pick(outputs, place);
      return soon(() => device.move([pick(outputs, place)], [allocate(anotherDtype(dtype, place), length)]));
    },
  },
  {
    name: "move to too few",
    code: "value",
    make: ({ device, outputs }) => soon(() => device.move(outputs, outputs.slice(1))),
  },
  {
    name: "move to itself",
    code: "value",
    make: ({ device, outputs, place }) => soon(() => device.move([pick(outputs, place)], [pick(outputs, place)])),
  },
  {
    name: "move to one buffer twice",
    code: "value",
    make: ({ device, outputs, allocate }) => {
      const { dtype, length } = at(outputs, 1);
      const target = allocate(dtype, length);
      return soon(() => device.move([at(outputs, 1), at(outputs, 2)], [target, target]));
    },
  },
  ...([foreign, freed] as const).flatMap((wrong): Mistake[] => {
    const code = wrong === foreign ? "device" : "disposed";
    const what = wrong === foreign ? "a foreign buffer" : "a freed buffer";
    return [
      {
        name: `move ${what}`,
        code,
        make: (bench) => {
          const right = pick(bench.outputs, bench.place);
          const target = bench.allocate(right.dtype, right.length);
          return soon(() => bench.device.move([wrong(bench, right)], [target]));
        },
      },
      {
        name: `move to ${what}, the last of several`,
        code,
        make: (bench) => {
          const targets = bench.outputs.map(({ dtype, length }) => bench.allocate(dtype, length));
          const last = targets.length - 1;
          return soon(() =>
            bench.device.move(
              bench.outputs,
              replace(targets, last, (right) => wrong(bench, right)),
            ),
          );
        },
      },
    ];
  }),
];

const bindings: readonly Mistake[] = [
  {
    name: "bind an input too few",
    code: "value",
    make: ({ program, inputs, outputs }) => program.executable.run(inputs.slice(1), outputs),
  },
  {
    name: "bind an output too few",
    code: "value",
    make: ({ program, inputs, outputs }) => program.executable.run(inputs, outputs.slice(0, -1)),
  },
  {
    name: "bind an input too many",
    code: "value",
    make: ({ program, inputs, outputs }) => program.executable.run([...inputs, at(inputs, 0)], outputs),
  },
  {
    name: "bind an output too many",
    code: "value",
    make: ({ program, inputs, outputs, allocate }) =>
      program.executable.run(inputs, [...outputs, allocate("f32", at(inputs, 0).length)]),
  },
  ...(["input", "output"] as const).flatMap((kind): Mistake[] => {
    const wrong: Readonly<Record<string, readonly [ErrorCode, (bench: Bench, right: DeviceBuffer) => DeviceBuffer]>> = {
      "of another dtype": [
        "dtype",
        ({ allocate, place }, { dtype, length }) => allocate(anotherDtype(dtype, place), length),
      ],
      "that is short": ["shape", ({ allocate }, { dtype, length }) => allocate(dtype, length - 1)],
      "that is long": ["shape", ({ allocate }, { dtype, length }) => allocate(dtype, length + 1)],
      "of another device": ["device", foreign],
      "that was freed": ["disposed", freed],
    };
    return Object.entries(wrong).map(([what, [code, make]]) => ({
      name: `bind an ${kind} ${what}`,
      code,
      make: (bench) => {
        const bind = (buffers: readonly DeviceBuffer[], isWrong: boolean): readonly DeviceBuffer[] =>
          isWrong ? replace(buffers, bench.place, (right) => make(bench, right)) : buffers;
        const { program, inputs, outputs } = bench;
        return program.executable.run(bind(inputs, kind === "input"), bind(outputs, kind === "output"));
      },
    }));
  }),
  {
    name: "bind one buffer to two outputs",
    code: "value",
    make: ({ program, inputs, outputs }) =>
      program.executable.run(
        inputs,
        outputs.map((buffer, i) => (i === 2 ? at(outputs, 1) : buffer)),
      ),
  },
  {
    name: "bind an input's buffer to an output of its own",
    code: "value",
    make: ({ program, inputs, outputs, place }) =>
      program.executable.run(
        inputs,
        outputs.map((buffer, i) => (i === 1 ? at(inputs, place % 2) : buffer)),
      ),
  },
  {
    name: "bind an output elsewhere than the input it replaces",
    code: "value",
    make: ({ program, inputs, outputs, allocate }) => {
      if (program.aliasOf(0) === undefined) return undefined;
      const { dtype, length } = at(inputs, 0);
      return program.executable.run(inputs, [allocate(dtype, length), ...outputs.slice(1)]);
    },
  },
  {
    name: "bind the buffer that an output replaces to a second input",
    code: "value",
    make: ({ program, inputs, outputs }) => {
      if (program.aliasOf(0) === undefined) return undefined;
      return program.executable.run(
        inputs.map((buffer, i) => (i === 1 ? at(inputs, 0) : buffer)),
        outputs,
      );
    },
  },
  {
    name: "run when the signal has aborted",
    code: "aborted",
    make: ({ program, inputs, outputs }) => program.executable.run(inputs, outputs, { signal: AbortSignal.abort() }),
  },
];

const lateCalls: readonly Mistake[] = [
  {
    name: "run what was disposed of",
    code: "disposed",
    make: ({ program, inputs, outputs }) => {
      program.executable.dispose();
      program.executable.dispose();
      return program.executable.run(inputs, outputs);
    },
  },
];

/** After the device was disposed of; wrong arguments don't matter any more. */
const afterwards: readonly Mistake[] = [
  { name: "allocate", make: ({ device }: Bench) => soon(() => device.allocate("f32", -1)) },
  {
    name: "upload",
    make: ({ device, outputs }: Bench) => soon(() => device.upload(at(outputs, 0), allocateData("f32", 99))),
  },
  { name: "download", make: ({ device, outputs }: Bench) => device.download([at(outputs, 0)]) },
  { name: "move", make: ({ device, outputs }: Bench) => soon(() => device.move([at(outputs, 1)], [at(outputs, 2)])) },
  { name: "download nothing", make: ({ device }: Bench) => device.download([]) },
  { name: "run", make: ({ program, inputs }: Bench) => program.executable.run(inputs, []) },
  { name: "compile", make: ({ device, graph }: Bench) => Program.compile(graph, device) },
].map(({ name, make }) => ({ name: `${name} on a device that was disposed of`, code: "disposed", make }));

/** The names of all mistakes that the law makes. */
export const mistakeNames: readonly string[] = [
  ...allocations,
  ...transfers,
  ...moves,
  ...bindings,
  ...lateCalls,
  ...afterwards,
].map(({ name }) => name);

/**
 * Makes every mistake with `runs` random programs on a device, which is disposed of at the end.
 * @returns what isn't refused, or with another code, or leaves something behind
 * @example
 * ```ts
 * import { createDevice } from "evenkeel/engine";
 *
 * const [device, other] = [await createDevice("cpu"), await createDevice("cpu")];
 * console.log(await findUnrefused(device, other, { runs: 1, seed: 1 })); // []
 * other.dispose();
 * ```
 */
export async function findUnrefused(
  device: Device,
  other: Device,
  { runs, seed }: { readonly runs: number; readonly seed: number },
): Promise<string[]> {
  const failures = new Set<string>();
  const expectRefusal = async ({ name, code, make }: Mistake, bench: Bench): Promise<void> => {
    const pending = make(bench);
    if (pending === undefined) return;
    const outcome = await pending.then(
      () => "went through",
      (error: unknown) => {
        if (!(error instanceof EvenkeelError)) return `threw ${String(error)}`;
        if (error.code !== code) return `has the code ${error.code}, not ${code} (${error.message})`;
        // It says where, what and what to do.
        const says =
          code === "aborted" ||
          (error.message.startsWith(`${bench.device.name}: `) && /\. \w+|; \w+/.test(error.message));
        return says ? undefined : `says only: ${error.message}`;
      },
    );
    if (outcome !== undefined) failures.add(`${name}: ${outcome}`);
  };
  const drawn = fc.sample(specs, { numRuns: runs, seed });
  for (const spec of drawn) {
    const before = device.memory();
    const { bench, dispose } = await setUp(device, other, spec);
    for (const mistake of [...allocations, ...transfers, ...moves, ...bindings]) await expectRefusal(mistake, bench);
    const touched = await firstTouched(bench);
    if (touched !== undefined) failures.add(`a refused call: wrote output ${touched}`);
    // Nothing keeps the right call from working afterwards.
    await bench.program.executable.run(bench.inputs, bench.outputs);
    if ((await firstTouched(bench)) === undefined) failures.add("the right call: wrote nothing");
    for (const mistake of lateCalls) await expectRefusal(mistake, bench);
    await dispose();
    const after = device.memory();
    if (after.bytes !== before.bytes || after.buffers !== before.buffers) {
      failures.add(
        `refused calls: leave ${after.buffers - before.buffers} buffers, ${after.bytes - before.bytes} bytes`,
      );
    }
  }
  const { bench } = await setUp(device, other, at(drawn, 0));
  device.dispose();
  device.dispose();
  for (const mistake of afterwards) await expectRefusal(mistake, bench);
  device.free(at(bench.inputs, 0));
  bench.program.dispose();
  if (device.usable || device.memory().bytes !== 0) failures.add("a device that was disposed of: has memory");
  return [...failures];
}

const filled = (buffer: DeviceBuffer): TensorData => dataFor(buffer).fill(1);

/** Fills inputs with 1 and outputs with 1, which is what none but output 0 becomes. */
async function setUp(
  device: Device,
  other: Device,
  spec: Spec,
): Promise<{ readonly bench: Bench; readonly dispose: () => Promise<void> }> {
  const kinds = [0, 0, 1, 2].slice(0, 1 + spec.dtypes.length).map((kind) => {
    return { dtype: at(spec.dtypes, kind), length: at(spec.lengths, kind) };
  });
  const nodes = kinds.map(({ dtype, length }, i) => makeNode("input", [], { dtype, shape: [length], name: `x${i}` }));
  const twice = (i: number): Tensor => {
    const x = new Tensor(at(nodes, i));
    return x.dtype === "bool" ? not(x) : add(x, x);
  };
  const made = [0, 0, ...spec.outputs].map((i) => i % nodes.length);
  const graph = { inputs: nodes, outputs: [at(nodes, 0), ...made.map((i) => twice(i).node)] };
  const program = await Program.compile(graph, device, [{ input: 0, output: 0 }]);
  const allocated: DeviceBuffer[] = [];
  const allocate = (dtype: DType, length: number): DeviceBuffer => {
    const buffer = device.allocate(dtype, length);
    allocated.push(buffer);
    return buffer;
  };
  const inputs = kinds.map(({ dtype, length }) => allocate(dtype, length));
  const outputs = graph.outputs.map(({ dtype }, output) => {
    const alias = program.aliasOf(output);
    return alias === undefined
      ? allocate(dtype, at(kinds, output === 0 ? 0 : at(made, output - 1)).length)
      : at(inputs, alias);
  });
  for (const buffer of new Set([...inputs, ...outputs])) device.upload(buffer, filled(buffer));
  const bench = { device, other, graph, program, inputs, outputs, allocate, place: spec.place };
  const dispose = async (): Promise<void> => {
    program.dispose();
    for (const buffer of allocated) {
      try {
        device.free(buffer);
      } catch {
        // A mistake has freed it.
      }
    }
    // What is disposed of may be freed in a later turn.
    await new Promise((done) => setTimeout(done, 0));
  };
  return { bench, dispose };
}

/** The first output after output 0 that has other values than at the start. */
async function firstTouched({ device, outputs }: Bench): Promise<number | undefined> {
  for (const [i, buffer] of outputs.entries()) {
    const data = await downloaded(device, buffer);
    if (i > 0 && data.some((value) => value !== 1)) return i;
  }
  return undefined;
}
