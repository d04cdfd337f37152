import type { Device, RunOptions } from "../devices/device.ts";
import { throwIfAborted } from "../devices/eventLoop.ts";
import { EvenkeelError } from "../errors.ts";
import type { TensorData } from "../graph/dtype.ts";
import { makeNode } from "../graph/graph.ts";
import { at } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { fillTree, mapTree, refuseAsynchronous, treeLeaves, treeSignature } from "../tree.ts";
import { evaluate } from "./evaluate.ts";
import { PendingResult } from "./pendingResult.ts";
import type { Binding } from "./program.ts";
import { type CompiledProgram, type CompileOptions, type Inspection, ProgramCache } from "./programCache.ts";
import { differenceOf, State } from "./state.ts";

export type { CompileOptions } from "./programCache.ts";

/** Each argument as the traced function takes it, or as a state of such a tree. */
export type Arguments<Args extends readonly unknown[]> = { readonly [I in keyof Args]: Args[I] | State<Args[I]> };

/** A compiled function. */
export type Compiled<Args extends readonly unknown[], Result> = {
  (...args: Arguments<Args>): Promise<Result>;
  /** Frees the device memory of all its programs. Idempotent; later calls compile again. */
  dispose(): void;
  /** Programs in the cache. */
  readonly programs: number;
  /** @internal Compiles anew for these arguments and runs once; see `explain`. */
  inspect(args: Arguments<Args>, options: RunOptions): Promise<Inspection>;
};

/** A compiled step: its first argument is a state, which it replaces. */
export type CompiledStep<S, Args extends readonly unknown[], Result> = {
  (state: State<S>, ...args: Arguments<Args>): Promise<Result>;
  /**
   * Runs the step without fetching its result: nothing waits for the device. Mistakes that only the numbers show
   * (NaN to integer, index out of range) are not looked for.
   */
  advance(state: State<S>, ...args: Arguments<Args>): Promise<void>;
  /**
   * Runs the step and leaves its result on the device, to be read later, together with those of other runs (`readResults`): where the
   * device computes by itself, nothing waits for it. Runs follow each other as they are begun. The state goes on even if the result turns
   * out to be none (NaN to integer, index out of range): that is told when it is read.
   * @throws EvenkeelError as a call, but for what is told when the result is read; `value` if the results of 256 runs wait to be read.
   */
  begin(state: State<S>, ...args: Arguments<Args>): Promise<PendingResult<Result>>;
  dispose(): void;
  readonly programs: number;
  /** @internal */
  inspect(args: readonly [State<S>, ...Arguments<Args>], options: RunOptions): Promise<Inspection>;
};

/** The arguments as they are now: trees that the caller changes during the call stay what they were for it. */
function takeArguments(args: readonly unknown[]): readonly unknown[] {
  return args.map((arg) => (arg instanceof State ? arg : mapTree(arg, (x) => x)));
}

/** What each input of the program is bound to: the leaves of all arguments in order. */
async function bindArguments(args: readonly unknown[], device: Device): Promise<(() => Binding)[]> {
  const bindings: (() => Binding)[] = [];
  for (const arg of args) {
    if (arg instanceof State) {
      // Looked up when the run starts: a step before it may have swapped the buffers, or failed.
      arg.buffers.forEach((_, i) => bindings.push(() => ({ kind: "device", buffer: at(arg.buffers, i) })));
    } else {
      for (const { tensor } of treeLeaves(arg)) {
        // What is not computed yet is computed where it is needed.
        const data = await tensor.dataBy((lazy) => evaluate(lazy, device));
        bindings.push(() => ({ kind: "host", data }));
      }
    }
  }
  return bindings;
}

function withSignal(options: RunOptions, signal: AbortSignal | undefined): RunOptions {
  return signal === undefined ? options : { ...options, signal };
}

/** Values as the tree of results that was traced. */
function resultTree(result: unknown, values: readonly TensorData[]): unknown {
  const tensors = treeLeaves(result).map(({ tensor: { dtype, shape } }, i) => {
    return new Tensor(makeNode("constant", [], { dtype, shape, data: at(values, i) }));
  });
  return fillTree(result, tensors);
}

/**
 * Compiles a function of trees of tensors. It is called once per signature, with placeholders, to record what it computes;
 * after that calls run the recorded program. Numbers, strings and booleans among the arguments are static: another value is
 * another program. Tensors from outside the function become constants of the program.
 * @example
 * ```ts
 * const distance = compile((a: Tensor, b: Tensor) => a.subtract(b).square().sum());
 * console.log(await (await distance(tensor([1, 2]), tensor([3, 4]))).item(), distance.programs); // 8 1
 * distance.dispose();
 * ```
 */
export function compile<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
  options: CompileOptions = {},
): Compiled<Args, Result> {
  const cache = new ProgramCache(fn as unknown as (...args: readonly unknown[]) => unknown, options, () => []);
  const run = async (taken: readonly unknown[], { program, result }: CompiledProgram, runOptions: RunOptions) => {
    const bindings = await bindArguments(taken, program.device);
    return program.device.queue.run(async () => {
      const runOnce = program.bind(
        bindings.map((bind) => bind()),
        [],
      );
      // Measured warm: the first run pays for caches and lazily made pipelines.
      if (runOptions.profile === true) await runOnce();
      const times = await runOnce(withSignal(runOptions, options.signal));
      return { times, value: resultTree(result, await program.read()) as Result };
    });
  };
  const call = async (...args: Arguments<Args>): Promise<Result> => {
    throwIfAborted(options.signal);
    const taken = takeArguments(args);
    return cache.use(taken, async (made) => (await run(taken, made, {})).value);
  };
  const inspect = async (args: readonly unknown[], runOptions: RunOptions): Promise<Inspection> => {
    throwIfAborted(options.signal);
    const taken = takeArguments(args);
    return cache.inspect(taken, async (made) => (await run(taken, made, runOptions)).times);
  };
  return Object.defineProperty(
    Object.assign(call, { dispose: () => cache.dispose(), inspect, programs: 0 }),
    "programs",
    {
      get: () => cache.size,
    },
  );
}

/**
 * Compiles a step: a function of a state and further arguments that gives the new state and a result. The state stays on
 * the device; where the device allows it, it is updated in place, else in a second set of buffers.
 * @example
 * ```ts
 * const count = await createState({ seen: scalar(0) });
 * const see = compileStep((state: { seen: Tensor }, more: Tensor) => ({ state: { seen: state.seen.add(more) }, result: state.seen }));
 * await see(count, scalar(3));
 * console.log(await (await see(count, scalar(4))).item(), await (await count.read()).seen.item()); // 3 7
 * see.dispose();
 * count.dispose();
 * ```
 */
export function compileStep<S, Args extends readonly unknown[], Result>(
  fn: (state: S, ...args: Args) => { readonly state: S; readonly result: Result },
  options: CompileOptions = {},
): CompiledStep<S, Args, Result> {
  const traced = (state: unknown, ...args: readonly unknown[]): unknown => {
    const next = fn(state as S, ...(args as unknown as Args));
    refuseAsynchronous("compileStep", next);
    if (treeSignature(next.state) !== treeSignature(state)) {
      throw new EvenkeelError(
        "shape",
        `compileStep: the new state differs from the old one: ${differenceOf(state, next.state)}`,
      );
    }
    // Outputs are the leaves of the new state, then those of the result.
    return [next.state, next.result];
  };
  // Leaf i of the state is input i and output i.
  const cache = new ProgramCache(traced, options, ([state]) =>
    treeLeaves(state).map((_, i) => ({ input: i, output: i })),
  );
  const takeStep = (args: readonly [State<S>, ...unknown[]]): readonly [State<S>, ...unknown[]] => {
    throwIfAborted(options.signal);
    const [state] = args;
    if (!(state instanceof State)) {
      throw new EvenkeelError(
        "value",
        "compileStep: the first argument of a step is a State; make one with createState.",
      );
    }
    if (args.indexOf(state, 1) >= 0) {
      throw new EvenkeelError(
        "value",
        "compileStep: the state that the step replaces is also given as a further argument.",
      );
    }
    return takeArguments(args) as readonly [State<S>, ...unknown[]];
  };
  const run = async (
    taken: readonly [State<S>, ...unknown[]],
    { program, result }: CompiledProgram,
    { then, ...runOptions }: RunOptions & { readonly then: "read" | "keep" | "drop" },
  ) => {
    const [state] = taken;
    const bindings = await bindArguments(taken, program.device);
    return program.device.queue.run(async () => {
      const runOnce = program.bind(
        bindings.map((bind) => bind()),
        state.targets((leaf) => program.aliasOf(leaf) !== undefined),
      );
      const [, value] = result as readonly [S, Result];
      const first = state.buffers.length;
      const resultOf = (values: readonly TensorData[]): Result => resultTree(value, values) as Result;
      const kept = then === "keep" ? program.reserve(first) : [];
      try {
        return await state.replacing(program, async () => {
          const times = await runOnce(withSignal(runOptions, options.signal));
          if (then === "read") return { times, value: resultOf(await program.read(first)) };
          if (then === "drop") return { times, value: undefined };
          program.keep(kept);
          return { times, value: new PendingResult(program, kept, resultOf) };
        });
      } catch (reason) {
        if (then === "keep") program.release(kept);
        throw reason;
      }
    });
  };
  const call = async (...args: readonly [State<S>, ...unknown[]]): Promise<Result> => {
    const taken = takeStep(args);
    return cache.use(taken, async (made) => (await run(taken, made, { then: "read" })).value as Result);
  };
  const advance = async (...args: readonly [State<S>, ...unknown[]]): Promise<void> => {
    const taken = takeStep(args);
    await cache.use(taken, (made) => run(taken, made, { then: "drop" }));
  };
  const begin = async (...args: readonly [State<S>, ...unknown[]]): Promise<PendingResult<Result>> => {
    const taken = takeStep(args);
    return cache.use(taken, async (made) => (await run(taken, made, { then: "keep" })).value as PendingResult<Result>);
  };
  const inspect = async (args: readonly [State<S>, ...unknown[]], runOptions: RunOptions): Promise<Inspection> => {
    const taken = takeStep(args);
    return cache.inspect(taken, async (made) => (await run(taken, made, { ...runOptions, then: "read" })).times);
  };
  return Object.defineProperty(
    Object.assign(call, { advance, begin, dispose: () => cache.dispose(), inspect, programs: 0 }),
    "programs",
    { get: () => cache.size },
  ) as unknown as CompiledStep<S, Args, Result>;
}
