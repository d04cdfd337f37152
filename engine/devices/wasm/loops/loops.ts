/** Loops over ranges of an axis in blocks, with code of its own for what remains after the last whole block. */
import { type FunctionBuilder, i32, type Local, op, type Operand } from "../assembler/index.ts";
import type { Access, Addresses } from "./emitAddresses.ts";
import type { AxisState, EmitContext } from "./emitContext.ts";
import type { Segment } from "./emitRegions.ts";

/** A range of an axis and how to walk it: blocks of `unroll` steps of `step` elements. */
export type Walk = {
  readonly axis: number;
  readonly segment: Segment;
  readonly unroll: number;
  readonly step: number;
  /** The part of the axis that this thread has, if the threads share it. Blocks are given to threads as a whole. */
  readonly share: { readonly low: Local; readonly high: Local } | null;
  /** Accesses of the code in the loop. */
  readonly accesses: readonly Access[];
  /** Of axes that threads don't share. */
  readonly chunk: Chunk | null;
};

/** Code around every so many blocks, of which what remains after the last whole block counts as one or two. */
export type Chunk = { readonly blocks: number; readonly begin: () => void; readonly end: () => void };

/** Writes the loop; `body` writes the code of one block, at the axis state that it finds in the context. */
export function emitLoop(context: EmitContext, addresses: Addresses, walk: Walk, body: () => void): void {
  const { axis, segment, share } = walk;
  const at = (state: AxisState): void => {
    context.states[axis] = state;
    context.scope(body);
    context.states[axis] = undefined;
  };
  if (share === null) emitFixedLoop(context, addresses, walk, at);
  else emitSharedLoop(context, addresses, { ...walk, share }, segment, at);
}

type EmitAt = (state: AxisState) => void;

/** Whole blocks in `length` elements. */
export function blocksOf({ unroll, step }: Pick<Walk, "unroll" | "step">, length: number): number {
  return Math.floor(length / (unroll * step));
}

/** What is left after the whole blocks of `length` elements, as smaller blocks. */
export function remaindersOf(
  { unroll, step }: Pick<Walk, "unroll" | "step">,
  length: number,
): readonly (Omit<AxisState, "variable" | "constant"> & { readonly from: number })[] {
  const whole = length - (length % (unroll * step));
  const steps = Math.floor((length - whole) / step);
  const lanes = length % step;
  return [
    ...(steps > 0 ? [{ from: whole, unroll: steps, step, lanes: step }] : []),
    ...(lanes > 0 ? [{ from: whole + steps * step, unroll: 1, step, lanes }] : []),
  ];
}

function emitFixedLoop(context: EmitContext, addresses: Addresses, walk: Walk, at: EmitAt): void {
  const { f } = context;
  const { axis, unroll, step, accesses, chunk } = walk;
  const { start, stop } = walk.segment;
  const block = unroll * step;
  const blocks = blocksOf(walk, stop - start);
  const rest = remaindersOf(walk, stop - start);
  const each: EmitAt = chunk?.blocks === 1 ? (state) => inChunk(chunk, () => at(state)) : at;
  const chunks = chunk?.blocks === 1 ? null : chunk;
  const isOneChunk = chunks === null || blocks + rest.length <= chunks.blocks;
  const emitBlocks = (): void => {
    if (blocks === 1) each({ variable: null, constant: start, unroll, step, lanes: step });
    if (blocks <= 1) return;
    const variable = f.let("i32", "axis", i32(start));
    const end = start + blocks * block;
    addresses.loop(axis, start, accesses, (advance) => {
      const loopTo = (limit: Operand): void => {
        f.loop((again) => {
          each({ variable, constant: 0, unroll, step, lanes: step });
          advance(block);
          f.tee(variable, op("i32.add", variable, i32(block)));
          f.branchIf(again, op("i32.ne", limit));
        });
      };
      if (chunks === null || blocks <= chunks.blocks) loopTo(i32(end));
      else emitChunks(f, variable, { end, block }, chunks, loopTo);
    });
  };
  const emitRest = (): void => {
    for (const { from, ...state } of rest) each({ variable: null, constant: start + from, ...state });
  };
  if (isOneChunk) {
    inChunk(chunks, () => {
      emitBlocks();
      emitRest();
    });
    return;
  }
  inChunk(blocks <= chunks.blocks ? chunks : null, emitBlocks);
  inChunk(rest.length > 0 ? chunks : null, emitRest);
}

function inChunk(chunk: Chunk | null, emit: () => void): void {
  chunk?.begin();
  emit();
  chunk?.end();
}

/** Goes on to `end` in chunks of blocks, the last of which may be shorter. */
function emitChunks(
  f: FunctionBuilder,
  variable: Local,
  { end, block }: { readonly end: number; readonly block: number },
  chunk: Chunk,
  loopTo: (limit: Operand) => void,
): void {
  const limit = f.local("i32", "limit");
  f.loop((next) => {
    chunk.begin();
    f.set(limit, op("i32.add", variable, i32(chunk.blocks * block)));
    f.set(limit, op("select", limit, i32(end), op("i32.lt_s", limit, i32(end))));
    loopTo(limit);
    chunk.end();
    f.branchIf(next, op("i32.ne", variable, i32(end)));
  });
}

/** The same over the part of the segment that is this thread's. Only the thread with the segment's end has the remainder. */
function emitSharedLoop(
  context: EmitContext,
  addresses: Addresses,
  walk: Walk & { readonly share: NonNullable<Walk["share"]> },
  { start, stop }: Segment,
  at: EmitAt,
): void {
  const { f } = context;
  const { axis, unroll, step, share, accesses } = walk;
  const block = unroll * step;
  const length = stop - start;
  const whole = length - (length % block);
  // A border between threads moves up to the next border between blocks (or the segment's end).
  const border = (limit: Local, name: string): Local => {
    const distance = f.let("i32", name, op("i32.sub", limit, i32(start)));
    const clamp = (): void => {
      f.set(distance, op("select", distance, i32(length), op("i32.lt_s", distance, i32(length))));
    };
    f.set(distance, op("select", distance, i32(0), op("i32.gt_s", distance, i32(0))));
    clamp();
    if (block > 1) {
      const blocks = op("i32.div_u", op("i32.add", distance, i32(block - 1)), i32(block));
      f.set(distance, op("i32.mul", blocks, i32(block)));
      clamp();
    }
    f.set(distance, op("i32.add", distance, i32(start)));
    return distance;
  };
  const variable = border(share.low, "from");
  const end = border(share.high, "to");
  addresses.loop(axis, variable, accesses, (advance) => {
    const wholeEnd = f.let("i32", "end", end);
    if (whole < length) {
      f.set(wholeEnd, op("select", end, i32(start + whole), op("i32.lt_s", end, i32(start + whole))));
    }
    if (whole > 0) {
      f.op("i32.lt_s", variable, wholeEnd);
      f.if(() => {
        f.loop((again) => {
          at({ variable, constant: 0, unroll, step, lanes: step });
          advance(block);
          f.tee(variable, op("i32.add", variable, i32(block)));
          f.branchIf(again, op("i32.lt_s", wholeEnd));
        });
      });
    }
    const rest = remaindersOf(walk, length);
    if (rest.length === 0) return;
    f.op("i32.lt_s", variable, end);
    f.if(() => {
      rest.forEach(({ from, ...state }, index) => {
        at({ variable, constant: 0, ...state });
        const next = rest[index + 1];
        if (next === undefined) return;
        advance(next.from - from);
        f.set(variable, op("i32.add", variable, i32(next.from - from)));
      });
    });
  });
}
