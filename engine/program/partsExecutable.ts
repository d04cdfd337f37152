/** Programs with loops on a device: their parts one after the other, over arrays that they own. */
import { type Signature, signatureOfPlan } from "../devices/bindings.ts";
import type {
  DeviceBuffer,
  Executable,
  KernelDevice,
  KernelSource,
  KernelTime,
  RunOptions,
} from "../devices/device.ts";
import { allocateData } from "../graph/dtype.ts";
import { at } from "../graph/shape.ts";
import type { Plan } from "../kernel/plan.ts";
import { type Own, type Planned, type PlannedLoop } from "./planGraph.ts";
import type { Slot } from "./splitAtLoops.ts";

/** What a run binds to a program's inputs, and its own arrays. */
type Arrays = { readonly inputs: readonly DeviceBuffer[]; readonly own: readonly DeviceBuffer[] };

/** Something that a program does between its inputs and its outputs. */
type Action = (arrays: Arrays, options: RunOptions) => Promise<readonly KernelTime[]>;

/** The inputs and outputs of what `compilePlanned` gives. */
export function signatureOfPlanned(planned: Planned): Signature {
  if (planned.kind === "whole") return signatureOfPlan(planned.plan);
  const { plan, given } = planned.last;
  const { input, ...others } = signatureOfPlan(plan);
  return { ...others, input: input.slice(0, input.length - given.length) };
}

/** Makes a planned graph ready to run. @throws EvenkeelError `memory`, `kernel` */
export async function compilePlanned(device: KernelDevice, planned: Planned): Promise<Executable> {
  if (planned.kind === "whole") return device.compile(planned.plan);
  const owner = new Owner(device);
  try {
    const own = planned.own.map((array) => owner.allocate(array));
    const actions: Action[] = [];
    for (const part of planned.parts) {
      if (part.kind === "loop") actions.push(await compileLoop(owner, part));
      else {
        const executable = await owner.compile(part.plan);
        actions.push((arrays, options) =>
          executable.run(
            [...arrays.inputs, ...part.given.map(bufferIn(arrays))],
            part.results.map(bufferIn(arrays)),
            options,
          ),
        );
      }
    }
    const { plan, given } = planned.last;
    const last = await owner.compile(plan);
    const run: Executable["run"] = async (inputs, outputs, options = {}) => {
      const arrays = { inputs, own };
      const times: KernelTime[] = [];
      for (const act of actions) times.push(...(await act(arrays, options)));
      times.push(...(await last.run([...inputs, ...given.map(bufferIn(arrays))], outputs, options)));
      return times;
    };
    return { run, sources: () => owner.sources(), bytes: owner.bytes, dispose: () => owner.dispose() };
  } catch (reason) {
    owner.dispose();
    throw reason;
  }
}

const bufferIn =
  ({ inputs, own }: Arrays) =>
  ({ kind, index }: Slot): DeviceBuffer =>
    at(kind === "input" ? inputs : own, index);

/** Buffers and executables that are freed together. */
class Owner {
  readonly #device: KernelDevice;
  readonly #executables: Executable[] = [];
  readonly #buffers: DeviceBuffer[] = [];
  /** What is uploaded before the first run. */
  readonly #starts: { readonly buffer: DeviceBuffer; readonly value: number }[] = [];
  #disposed = false;

  constructor(device: KernelDevice) {
    this.#device = device;
  }

  get bytes(): number {
    return (
      this.#executables.reduce((sum, { bytes }) => sum + bytes, 0) +
      this.#buffers.reduce((sum, { length }) => sum + 4 * length, 0)
    );
  }

  allocate({ dtype, length }: Own): DeviceBuffer {
    const buffer = this.#device.allocate(dtype, length);
    this.#buffers.push(buffer);
    return buffer;
  }

  /** An array that holds a number in every run. */
  number(own: Own, value: number): DeviceBuffer {
    const buffer = this.allocate(own);
    this.#starts.push({ buffer, value });
    return buffer;
  }

  /** Uploads those, in a task of the queue. */
  start(): void {
    for (const { buffer, value } of this.#starts.splice(0)) {
      this.#device.upload(buffer, allocateData(buffer.dtype, buffer.length).fill(value));
    }
  }

  async compile(plan: Plan): Promise<Executable> {
    return this.#keep(await this.#device.compile(plan));
  }

  async compilePlanned(planned: Planned): Promise<Executable> {
    return this.#keep(await compilePlanned(this.#device, planned));
  }

  #keep(executable: Executable): Executable {
    this.#executables.push(executable);
    return executable;
  }

  sources(): readonly KernelSource[] {
    // Steps are told by their names: numbers are those of one part.
    return this.#executables.flatMap((executable) =>
      executable.sources().map(({ kernel, language, text }) => ({ kernel, language, text })),
    );
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const executable of this.#executables) executable.dispose();
    for (const buffer of this.#buffers) this.#device.free(buffer);
  }
}

async function compileLoop(owner: Owner, loop: PlannedLoop): Promise<Action> {
  const { length, carried, stacked, given } = loop;
  const body = await owner.compilePlanned(loop.body);
  const joins: Executable[] = [];
  for (const plan of loop.joins) joins.push(await owner.compile(plan));
  const hasResults = stacked.length > 0 || carried.some(({ result }) => result !== null);
  const finish = hasResults ? await owner.compile(loop.finish) : null;
  // What is carried lies in two arrays in turn.
  const turns = [0, 1].map(() => carried.map((own) => owner.allocate(own)));
  const numbers = carried.map((own) => (typeof own.first === "number" ? owner.number(own, own.first) : null));
  /** Stacks by height, place and array. */
  const stacks = loop.levels.map(({ height, most }) =>
    Array.from({ length: most }, () => stacked.map((own) => owner.allocate({ ...own, length: own.length * height }))),
  );
  /** The arrays of some stacks, array by array, in the order in which `joining` has them. */
  const arraysOf = (of: readonly (readonly DeviceBuffer[])[]): DeviceBuffer[] =>
    stacked.flatMap((_, array) => of.map((stack) => at(stack, array)));
  return async (arrays, options) => {
    owner.start();
    const times: KernelTime[] = [];
    const same = given.map(bufferIn(arrays));
    const first = carried.map((own, i) =>
      typeof own.first === "number" ? (numbers[i] ?? at(at(turns, 0), i)) : bufferIn(arrays)(own.first),
    );
    const counts = stacks.map(() => 0);
    for (let iteration = 0; iteration < length; iteration++) {
      const before = iteration === 0 ? first : at(turns, (iteration - 1) % 2);
      const stack = stacks[0] === undefined ? [] : at(stacks[0], at(counts, 0));
      times.push(...(await body.run([...before, ...same], [...at(turns, iteration % 2), ...stack], options)));
      if (stacks.length === 0) continue;
      counts[0] = at(counts, 0) + 1;
      for (let level = 0; level < joins.length && at(counts, level) === at(loop.levels, level).most; level++) {
        const whole = at(at(stacks, level + 1), at(counts, level + 1));
        times.push(...(await at(joins, level).run(arraysOf(at(stacks, level)), whole, options)));
        counts[level] = 0;
        counts[level + 1] = at(counts, level + 1) + 1;
      }
    }
    if (finish === null) return times;
    const left = stacks
      .map((of, level) => of.slice(0, at(counts, level)))
      .toReversed()
      .flat();
    const last = at(turns, (length - 1) % 2);
    const out = carried.flatMap(({ result }, i) => (result === null ? [] : [{ result, buffer: at(last, i) }]));
    const results = [...stacked.map(({ result }) => result), ...out.map(({ result }) => result)];
    times.push(
      ...(await finish.run(
        [...arraysOf(left), ...out.map(({ buffer }) => buffer)],
        results.map(bufferIn(arrays)),
        options,
      )),
    );
    return times;
  };
}
