import type { Kernel } from "../../../../kernel/kernel.ts";
import { type Code, type FunctionBuilder, i32, type Local, memory, op, type Operand } from "../../assembler/index.ts";
import {
  type Access,
  type Addresses,
  addressOf,
  blockOf,
  type EmitContext,
  emitKernel,
  kernelParameters,
  nestOf,
  type Phase,
  type ReducePoints,
  type Schedule,
  scratchAddress,
  type Share,
} from "../../loops/index.ts";
import { advance, after, repeat } from "../tile.ts";
import { batchStrides, type Chains, chainsScratch } from "./plan.ts";

/** Rows that a thread chains at least: a line of the cache. */
const lineRows = 16;

/** @param kernel folds the values alone */
export function scatterPhases(kernel: Kernel, chains: Chains, schedule: Schedule): readonly Phase[] {
  const nest = nestOf(kernel, schedule.tiling);
  const { split } = nest;
  return [
    {
      size: chains.batches > 1 ? chains.batches : chains.rows,
      block: chains.batches > 1 ? 1 : lineRows,
      cost: chains.batches * (4 * chains.points + chains.rows / 8),
      emit: (module, name) =>
        module.define(`${name}_chains`, kernelParameters, [], (f, table, low, high, thread) => {
          emitChains(f, kernel, chains, { table, low, high, thread });
        }),
    },
    {
      size: split === null ? 1 : (kernel.axes[split]?.size ?? 0),
      block: split === null ? 1 : blockOf(nest, split),
      cost: schedule.cost,
      emit: (module, name, options) => emitKernel(module, name, kernel, schedule, options, alongChains(kernel, chains)),
    },
  ];
}

/** Chains the points of rows low to high, or of batches low to high if there are several. */
function emitChains(f: FunctionBuilder, kernel: Kernel, chains: Chains, { table, low, high }: Share): void {
  const { index, batchAxes, batches, rows, points } = chains;
  const heads = scratchAddress(f, kernel, table);
  const links = after(f, "links", heads, chainsScratch(chains).links);
  const base = index.kind === "load" ? addressOf(f, table, index.operand) : heads;
  if (batches === 1) {
    emitBatch(f, kernel, chains, { heads, links, base, low, high });
    return;
  }
  const strides = batchStrides(chains, kernel);
  const batch = f.let("i32", "batch", low);
  const [none, all] = [f.let("i32", "none", i32(0)), f.let("i32", "all", i32(rows))];
  f.loop((again) => {
    const own = f.let("i32", "own", base);
    batchAxes.forEach((axis, i) => {
      const place = op("i32.rem_u", op("i32.div_u", batch, i32(strides[i] ?? 1)), i32(kernel.axes[axis]?.size ?? 1));
      const step = index.kind === "load" ? (index.at.coefficients[axis] ?? 0) : 0;
      f.set(own, op("i32.add", own, op("i32.mul", place, i32(4 * step))));
    });
    const at = (start: Local, size: number): Local =>
      f.let("i32", "start", op("i32.add", start, op("i32.mul", batch, i32(4 * size))));
    emitBatch(f, kernel, chains, { heads: at(heads, rows), links: at(links, points), base: own, low: none, high: all });
    advance(f, batch, 1);
    f.branchIf(again, op("i32.lt_u", batch, high));
  });
}

/** Where the heads, the links and the indices of a batch begin, and which rows are to be chained. */
type Batch = {
  readonly heads: Local;
  readonly links: Local;
  readonly base: Local;
  readonly low: Local;
  readonly high: Local;
};

/** Looks at all points of a batch, the last first, and puts each before those that its row has. */
function emitBatch(
  f: FunctionBuilder,
  kernel: Kernel,
  { index, first, reduceAxes, points }: Chains,
  { heads, links, base, low, high }: Batch,
): void {
  const own = f.let("i32", "heads", op("i32.add", heads, op("i32.mul", low, i32(4))));
  const count = f.let("i32", "rows", op("i32.sub", high, low));
  f.memoryFill(own, i32(-1), op("i32.mul", count, i32(4)));
  const link = after(f, "link", links, 4 * (points - 1));
  const point = f.let("i32", "point", i32(points - 1));
  const start = f.let("i32", "first", op("i32.add", low, i32(first)));
  const chain = (row: Code): void => {
    const place = f.let("i32", "row", op("i32.sub", row, start));
    f.op("i32.lt_u", place, count);
    f.if(() => {
      const head = f.let("i32", "head", op("i32.add", own, op("i32.mul", place, i32(4))));
      f.memory("i32.store", 0, link, memory("i32.load", 0, head));
      f.memory("i32.store", 0, head, point);
    });
    advance(f, link, -4);
    advance(f, point, -1);
  };
  if (index.kind === "literal") {
    repeat(f, points, () => chain(i32(index.value)));
    return;
  }
  const { offset, coefficients } = index.at;
  const walk = (level: number, pointer: Local): void => {
    const axis = reduceAxes[level];
    if (axis === undefined) {
      chain(memory("i32.load", 0, pointer));
      return;
    }
    const size = kernel.axes[axis]?.size ?? 0;
    const step = 4 * (coefficients[axis] ?? 0);
    const backwards = after(f, "index", pointer, step * (size - 1));
    repeat(f, size, () => {
      walk(level + 1, backwards);
      advance(f, backwards, -step);
    });
  };
  walk(0, after(f, "index", base, 4 * offset));
}

/** The reduce points of a result: those of its row's chain. */
function alongChains(kernel: Kernel, chains: Chains): ReducePoints {
  const { row, rowAxes, first, reduceAxes, batchAxes, rows, points } = chains;
  const { links } = chainsScratch(chains);
  const strides = batchStrides(chains, kernel);
  return (f, table) => {
    const heads = scratchAddress(f, kernel, table);
    const point = f.local("i32", "point");
    const left = f.local("i32", "left");
    return (context, addresses, accesses, body, long) => {
      /** The heads moved on by so many numbers for each step along an axis. */
      const moved = (start: number, steps: readonly (readonly [axis: number, numbers: number])[]): Operand => {
        let address: Operand = heads;
        let offset = start;
        for (const [axis, numbers] of steps) {
          const { variable, constant } = context.state(axis);
          if (variable === null) offset += numbers * constant;
          else address = op("i32.add", address, op("i32.mul", variable, i32(4 * numbers)));
        }
        return offset === 0 ? address : op("i32.add", address, i32(4 * offset));
      };
      const head = moved(row.offset - first, [
        ...rowAxes.map((axis) => [axis, row.coefficients[axis] ?? 0] as const),
        ...batchAxes.map((axis, i) => [axis, rows * (strides[i] ?? 0)] as const),
      ]);
      f.set(point, memory("i32.load", 0, head));
      f.op("i32.ge_s", point, i32(0));
      f.if(() => {
        // Links lie behind all heads, those of each batch in one piece.
        const ownLinks =
          batchAxes.length === 0
            ? heads
            : f.let(
                "i32",
                "links",
                moved(
                  0,
                  batchAxes.map((axis, i) => [axis, points * (strides[i] ?? 0)]),
                ),
              );
        const alongChain = (whileTrue: () => void): void => {
          f.loop((again) => {
            atPoint(context, addresses, accesses, { axes: reduceAxes, point }, body);
            const link = op("i32.add", ownLinks, op("i32.mul", point, i32(4)));
            f.set(point, memory("i32.load", links, link));
            whileTrue();
            f.branchIf(again);
          });
        };
        const isLeft = op("i32.ge_s", point, i32(0));
        if (long === null) {
          alongChain(() => f.emit(isLeft));
          return;
        }
        const chunk = (): void => {
          f.set(left, i32(long.chunkLength));
          alongChain(() => {
            f.tee(left, op("i32.sub", left, i32(1)));
            f.op("i32.ne", i32(0));
            f.op("i32.and", isLeft);
          });
        };
        // What one chunk holds, as almost all do, has code without totals.
        chunk();
        f.emit(isLeft);
        f.if(() => {
          long.begin();
          f.loop((next) => {
            long.next();
            chunk();
            f.branchIf(next, isLeft);
          });
          long.next();
          long.end();
        });
      });
    };
  };
}

/** Writes `body` with the reduce axes standing at a point. */
function atPoint(
  context: EmitContext,
  addresses: Addresses,
  accesses: readonly Access[],
  { axes, point }: { readonly axes: readonly number[]; readonly point: Local },
  body: () => void,
): void {
  const { f, kernel, states } = context;
  const [axis, ...inner] = axes;
  if (axis === undefined) {
    context.scope(body);
    return;
  }
  const below = inner.reduce((product, other) => product * (kernel.axes[other]?.size ?? 1), 1);
  const variable = below === 1 ? point : f.let("i32", "axis", op("i32.div_u", point, i32(below)));
  states[axis] = { variable, constant: 0, unroll: 1, step: 1, lanes: 1 };
  addresses.loop(axis, variable, accesses, () => {
    const rest = inner.length === 0 ? point : f.let("i32", "point", op("i32.rem_u", point, i32(below)));
    atPoint(context, addresses, accesses, { axes: inner, point: rest }, body);
  });
  states[axis] = undefined;
}
