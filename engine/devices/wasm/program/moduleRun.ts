/**
 * The part of a module that is the same for every plan: `run(thread, threads, record, end)` walks the records of a plan's
 * steps in shared memory, computes this thread's share of each and meets the other threads between steps. A run costs
 * one call from JavaScript per thread.
 */
import {
  type FunctionBuilder,
  type FunctionReference,
  i32,
  i64,
  type Local,
  memory,
  type ModuleBuilder,
  op,
} from "../assembler/index.ts";
import { control } from "../runtime/index.ts";

/**
 * Words of a step's record; the addresses of its operands and its results follow. A band has a record of its own, without
 * addresses; those of its steps follow.
 */
export const recordLayout = {
  /** Number of the function; of a band, where its last step's record ends. */
  kernel: 0,
  /** Bits of `recordFlags`. */
  flags: 4,
  /** Elements of the axis that threads share; of a band, its rows; of a step in one, elements of a row. */
  size: 8,
  /** Elements of that axis which stay together; of a band, the rows that go through all steps before the next. */
  block: 12,
  /** Bytes from this record to the next. */
  bytes: 16,
  /** Where on that axis computing begins; `size` is where it ends. 0 unless the step is cut into slices. */
  begin: 20,
  addresses: 24,
} as const;

export const recordFlags = {
  /** All threads compute it; otherwise the first one alone. */
  shared: 1,
  /** Threads meet before it. */
  barrier: 2,
  band: 4,
} as const;

/** Looks at the barrier that a thread makes before it goes to sleep: some hundred microseconds, as waking takes tens of them. */
const spins = 200_000;
/** Nanoseconds of sleep after which a thread asks whether to give up. */
const patience = 1_000_000_000;

/** Adds `run`. It gives 0, or 1 if a thread has failed. */
export function emitRun(
  module: ModuleBuilder,
  kernels: readonly FunctionReference[],
  shared: boolean,
): FunctionReference {
  const meet = shared ? emitBarrier(module) : null;
  return module.define("run", ["i32", "i32", "i32", "i32"], ["i32"], (f, thread, threads, start, end) => {
    const record = f.let("i32", "record", start);
    const local = (name: string): Local => f.local("i32", name);
    const [flags, band, begin, size, block, blocks] = [
      local("flags"),
      local("band"),
      local("begin"),
      local("size"),
      local("block"),
      local("blocks"),
    ];
    const [low, high, next] = [local("low"), local("high"), local("next")];
    const [first, last, step, unit] = [local("first"), local("last"), local("step"), local("unit")];
    const [from, to] = [local("from"), local("to")];
    const word = (offset: number): ReturnType<typeof memory> => memory("i32.load", offset, record);
    const border = (limit: Local, index: Local): void => {
      // blocks * index / threads without overflow.
      const rest = op("i32.rem_u", blocks, threads);
      const extra = op("select", index, rest, op("i32.lt_u", index, rest));
      const whole = op("i32.add", op("i32.mul", op("i32.div_u", blocks, threads), index), extra);
      f.set(limit, op("i32.add", begin, op("i32.mul", whole, block)));
      f.set(limit, op("select", limit, size, op("i32.lt_u", limit, size)));
    };
    const stepWord = (offset: number): ReturnType<typeof memory> => memory("i32.load", offset, step);
    f.block((finished) => {
      f.loop((again) => {
        f.branchIf(finished, op("i32.ge_u", record, end));
        f.set(flags, word(recordLayout.flags));
        if (meet !== null) {
          const wanted = op("i32.ne", op("i32.and", flags, i32(recordFlags.barrier)), i32(0));
          f.op("i32.and", wanted, op("i32.gt_u", threads, i32(1)));
          f.if(() => {
            f.call(meet, thread, threads);
            f.if(() => {
              f.emit(i32(1));
              f.op("return");
            });
          });
        }
        // A step alone is a band of its whole share.
        f.set(band, op("i32.and", flags, i32(recordFlags.band)));
        f.set(first, op("i32.add", record, word(recordLayout.bytes)));
        f.set(last, op("select", word(recordLayout.kernel), first, band));
        f.set(first, op("select", first, record, band));
        f.set(size, word(recordLayout.size));
        f.set(block, word(recordLayout.block));
        f.set(begin, word(recordLayout.begin));
        f.set(low, begin);
        f.set(high, size);
        f.block((skip) => {
          f.emit(op("i32.and", flags, i32(recordFlags.shared)));
          f.if(
            () => {
              const places = op("i32.sub", size, begin);
              f.set(blocks, op("i32.div_u", op("i32.add", places, op("i32.sub", block, i32(1))), block));
              f.set(next, op("i32.add", thread, i32(1)));
              border(low, thread);
              border(high, next);
              f.branchIf(skip, op("i32.ge_u", low, high));
            },
            () => f.branchIf(skip, thread),
          );
          f.set(block, op("select", block, op("i32.sub", high, low), band));
          f.set(from, low);
          f.loop((nextRows) => {
            f.set(to, op("i32.add", from, block));
            f.set(to, op("select", to, high, op("i32.lt_u", to, high)));
            f.set(step, first);
            f.loop((nextStep) => {
              f.set(unit, op("select", stepWord(recordLayout.size), i32(1), band));
              emitDispatch(f, kernels, 0, stepWord(recordLayout.kernel), (kernel) => {
                const addresses = op("i32.add", step, i32(recordLayout.addresses));
                f.call(kernel, addresses, op("i32.mul", from, unit), op("i32.mul", to, unit), thread);
              });
              f.set(step, op("i32.add", step, stepWord(recordLayout.bytes)));
              f.branchIf(nextStep, op("i32.lt_u", step, last));
            });
            f.set(from, to);
            f.branchIf(nextRows, op("i32.lt_u", from, high));
          });
        });
        f.set(record, last);
        f.branch(again);
      });
    });
    f.emit(i32(0));
  });
}

/** Kernels that one branch table tells apart; more nest too deeply. */
const tableSize = 64;

function emitDispatch(
  f: FunctionBuilder,
  kernels: readonly FunctionReference[],
  first: number,
  number: ReturnType<typeof memory>,
  use: (kernel: FunctionReference) => void,
): void {
  if (kernels.length > tableSize) {
    const half = kernels.length >> 1;
    f.op("i32.lt_u", number, i32(first + half));
    f.if(
      () => emitDispatch(f, kernels.slice(0, half), first, number, use),
      () => emitDispatch(f, kernels.slice(half), first + half, number, use),
    );
    return;
  }
  f.block((finished) => {
    // Case k follows the end of block k.
    const nest = (count: number, labels: readonly Parameters<FunctionBuilder["branch"]>[0][]): void => {
      if (count === 0) {
        f.branchTable(labels, finished, op("i32.sub", number, i32(first)));
        return;
      }
      f.block((label) => nest(count - 1, [label, ...labels]));
      const kernel = kernels[count - 1];
      if (kernel !== undefined) use(kernel);
      f.branch(finished);
    };
    nest(kernels.length, []);
  });
}

/**
 * `barrier(thread, threads)`: returns once all threads are here: 0, or 1 if one has failed. The last one to arrive opens
 * it; the others look at it for a moment and then sleep.
 */
function emitBarrier(module: ModuleBuilder): FunctionReference {
  const stalled = module.importFunction("env", "stalled", ["i32"], ["i32"]);
  return module.define("barrier", ["i32", "i32"], ["i32"], (f, thread, threads) => {
    const at = (address: number): ReturnType<typeof i32> => i32(address);
    const loadBarrier = memory("i32.atomic.load", 0, at(control.barrier));
    const phase = f.let("i32", "phase", loadBarrier);
    const failed = memory("i32.atomic.load", 0, at(control.failed));
    // Whoever fails opens the barrier once; who comes later must not wait for the next time.
    f.emit(failed);
    f.if(() => {
      f.emit(i32(1));
      f.op("return");
    });
    const arrivals = op("i32.add", memory("i32.atomic.rmw.add", 0, at(control.arrived), i32(1)), i32(1));
    f.op("i32.eq", arrivals, threads);
    f.if(
      () => {
        f.memory("i32.atomic.store", 0, at(control.arrived), i32(0));
        f.memory("i32.atomic.rmw.add", 0, at(control.barrier), i32(1));
        f.op("drop");
        f.memory("memory.atomic.notify", 0, at(control.barrier), i32(-1));
        f.op("drop");
      },
      () => {
        const looks = f.let("i32", "looks", i32(spins));
        f.block((open) => {
          f.loop((again) => {
            f.branchIf(open, op("i32.ne", loadBarrier, phase));
            f.tee(looks, op("i32.sub", looks, i32(1)));
            f.branchIf(again);
          });
          f.loop((again) => {
            f.memory("memory.atomic.wait32", 0, at(control.barrier), phase, i64(patience));
            f.op("i32.eq", i32(2));
            f.if(() => {
              f.call(stalled, thread);
              f.if(() => {
                f.emit(i32(1));
                f.op("return");
              });
            });
            f.branchIf(again, op("i32.eq", loadBarrier, phase));
          });
        });
      },
    );
    f.op("i32.ne", failed, i32(0));
  });
}
