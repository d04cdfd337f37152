/**
 * Kernels that fold: each point of the parallel axes, or four neighbours, is folded by a team of threads of one workgroup, each of which
 * takes every so-manieth term of one axis; then the team's values are folded. How many threads are in a team follows from the shape
 * alone, so that sums have one order everywhere.
 */
import { at } from "../../../graph/shape.ts";
import type { Axis, Kernel, Reduction } from "../../../kernel/kernel.ts";
import { reusesLoads } from "../../../kernel/contraction.ts";
import { rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import type { AxisText } from "./addresses.ts";
import { loopCounts } from "../loopCounts.ts";
import { ExpressionEmitter, type Loads, type Place, type Value } from "./expression.ts";
import { allowsLanes } from "./lanes.ts";
import { loadsFrom, storeResults, vectorArrays } from "./memory.ts";
import { extremum } from "./operations.ts";
import { placeOf, pointsOf } from "./points.ts";
import { numeral, splat, valueType, type Lanes } from "./types.ts";
import { type Aliases, arraysOf, foldedGroups, groupNumber, moduleText, type WgslKernel } from "./wgslKernel.ts";
import { WgslWriter } from "./writer.ts";

/** Terms that one loop adds up at most: of n terms a sum is off by so many roundings for each level of loops, not by n. */
const longestSum = 32;
/** The same of products, and of what doesn't round. */
const longestLoop = 512;
/** Threads of a workgroup. */
const workgroupSize = 64;
const largestTeam = workgroupSize;
/** Threads that keep a GPU busy: points beyond need no team for it. */
const enoughThreads = 2 ** 16;

type Shape = {
  /** Points, or fours of points. */
  readonly points: number;
  /** The reduce axis, by its number among them, whose terms a team shares. */
  readonly shared: number;
  readonly lane: number | null;
  readonly team: number;
  /** Whether neighbouring threads are of one team, not of neighbouring points. */
  readonly isTeamInside: boolean;
};

export function emitReduction(kernel: Kernel, reduction: Reduction, aliases: Aliases): WgslKernel {
  const shape = shapeOf(kernel, reduction);
  const { lane, team } = shape;
  const threads = workgroupSize;
  const width = threads / team;
  const vectors = vectorArrays(kernel, aliases, lane);
  const arrays = arraysOf(kernel, aliases, (bound) => (vectors(bound) ? 4 : 1));
  const loads = loadsFrom(arrays, aliases, vectors);
  const writer = new WgslWriter();
  const groups = foldedGroups(Math.ceil(shape.points / width));
  const [parallel, reduce] = [axesOf(kernel, "parallel"), axesOf(kernel, "reduce")];

  const isInside = shape.isTeamInside;
  // Divided even where the workgroup is one team, so that teams of all sizes have one text (`batch.ts`).
  const member = team === 1 ? "0u" : writer.local(isInside ? `local % ${team}u` : `local / ${width}u`);
  const column = team === 1 ? "local" : writer.local(isInside ? `local / ${team}u` : `local % ${width}u`);
  const point = writer.local(`${groupNumber(groups)} * ${width}u + ${column}`);
  // Asked even where there is a point for each thread: kernels over other sizes have the same text then (`batch.ts`).
  const isPoint = `${point} < ${shape.points}u`;
  // Threads without a point fold the last one again: all have to come to the barriers.
  const known = team === 1 ? point : writer.local(`min(${point}, ${shape.points - 1}u)`);
  if (team === 1) writer.open(`if (${isPoint})`);
  const { axes: coordinates, lane: lanes } = placeOf(writer, parallel, lane, known);
  const place = (reduced: readonly AxisText[], accumulator: Value | null): Place => ({
    axes: [...coordinates, ...reduced],
    lane: lanes,
    accumulator,
  });
  const unreduced = reduce.map(({ size }): AxisText => ({ text: "0u", size }));

  const fold = new Fold(writer, kernel, reduction, lane === null ? 1 : 4);
  const term = (reduced: readonly AxisText[]): Value => {
    const emitter = new ExpressionEmitter(writer, kernel, loads, place(reduced, null));
    const [value] = emitter.emit(reduction.body);
    if (value === undefined) throw new Error("an expression without a value");
    return { ...value, text: emitter.widened(value), lanes: fold.lanes };
  };
  const own = foldTerms(fold, reduce, shape, member, term);
  const folded = team === 1 ? own : foldTeam(fold, shape, threads, own, member);
  if (team > 1) writer.open(`if (${member} == 0u && ${isPoint})`);
  store(
    writer,
    kernel,
    arrays,
    vectors,
    loads,
    place(unreduced, { text: folded, dtype: reduction.body.dtype, lanes: fold.lanes }),
  );
  writer.close();

  const schedule = [
    lane === null ? "one point" : "four points",
    team === 1 ? "a thread" : `a team of ${team} ${shape.isTeamInside ? "neighbouring threads" : "threads"}`,
  ].join(" ");
  return {
    name: kernel.name,
    schedule,
    text: moduleText(schedule, arrays, writer, threads),
    bindings: arrays.bindings,
    groups,
  };
}

function store(
  writer: WgslWriter,
  kernel: Kernel,
  arrays: Parameters<typeof storeResults>[2],
  vectors: Parameters<typeof storeResults>[3],
  loads: Loads,
  place: Place,
): void {
  const emitter = new ExpressionEmitter(writer, kernel, loads, place);
  const values = emitter.emit(...kernel.stores.map(({ value }) => value));
  const widened = values.map((value) => ({ ...value, text: emitter.widened(value) }));
  storeResults(writer, kernel, arrays, vectors, place, widened);
}

function shapeOf(kernel: Kernel, { body }: Reduction): Shape {
  const [parallel, reduce] = [axesOf(kernel, "parallel"), axesOf(kernel, "reduce")];
  const last = parallel.length - 1;
  const loads = scalarsOf(body).filter((scalar) => scalar.kind === "load");
  const along = (axis: number): number =>
    axis < 0 ? 0 : loads.filter((load) => Math.abs(at(load.at.coefficients, axis)) === 1).length;
  const shared = reduce.findIndex(({ size }) => reduce.every((other) => other.size <= size));
  // What lies side by side in memory is read by threads side by side.
  const isTeamInside = along(parallel.length + shared) > along(last) && !reusesLoads(kernel);
  const row = parallel[last]?.size ?? 1;
  const takesLanes = !isTeamInside && row % 4 === 0 && allowsLanes(rootsOf(kernel), last, row);
  const lane = takesLanes ? last : null;
  const points = pointsOf(parallel) / (takesLanes ? 4 : 1);
  const terms = reduce[shared]?.size ?? 1;
  return { points, shared, lane, isTeamInside, team: teamOf(points, terms, isTeamInside) };
}

/** Threads that share the terms of an axis: so many that all threads together keep a GPU busy, if there are terms enough for each. */
function teamOf(points: number, terms: number, isTeamInside: boolean): number {
  const wanted = isTeamInside && terms >= workgroupSize ? workgroupSize / 2 : 1;
  let team = 1;
  while (team < largestTeam && 8 * team <= terms && (team < wanted || team * points < enoughThreads)) team *= 2;
  // Of two, the text would be one of its own.
  return team === 2 ? 4 : team;
}

const axesOf = ({ axes }: Kernel, wanted: Axis["role"]): readonly Axis[] => axes.filter(({ role }) => role === wanted);

type Term = (reduced: readonly AxisText[]) => Value;

/**
 * Goes through the terms that are one thread's: a loop for each axis, and several for a long one. Along the axis that a team shares they
 * are every `team`-th, from `member` on; that axis comes last, so that neighbours read what lies together at the same time.
 */
function foldTerms(fold: Fold, reduce: readonly Axis[], { team, shared }: Shape, member: string, term: Term): string {
  const { writer } = fold;
  type Loop = { readonly name: string; readonly count: number };
  const guards: string[] = [];
  const loopsOf = new Map<number, readonly Loop[]>();
  const axes = reduce.map(({ size }, axis): AxisText => {
    if (size === 1) return { text: "0u", size };
    const threads = axis === shared ? team : 1;
    const needed = loopCounts(Math.ceil(size / threads), fold.longest);
    // Of a team two loops even where one is enough: longer sums have the same text then (`batch.ts`).
    const counts = threads > 1 && needed.length === 1 ? [1, ...needed] : needed;
    const loops = counts.map((count): Loop => ({ name: writer.fresh("i"), count }));
    loopsOf.set(axis, loops);
    const round = loops.reduce(
      (outer, { name, count }) => (outer === "" ? name : `(${outer} * ${count}u + ${name})`),
      "",
    );
    const text = threads === 1 ? round : `(${round} * ${threads}u + ${member})`;
    // Of a team also where all have as many: so are the texts for other sizes.
    if (threads > 1 || counts.reduce((product, count) => product * count, 1) > size) guards.push(`${text} < ${size}u`);
    return { text, size };
  });
  const order = [...reduce.keys()].filter((axis) => axis !== shared);
  const loops = [...order, shared].flatMap((axis) => loopsOf.get(axis) ?? []);
  const addTerm = (total: string): void => {
    if (guards.length > 0) writer.open(`if (${guards.join(" && ")})`);
    fold.add(total, term(axes).text);
    if (guards.length > 0) writer.close();
  };
  /** Loops from `depth` on, into a total of their own where sums round. */
  const level = (depth: number, into: string | null): string => {
    const total = into ?? fold.start();
    const loop = loops[depth];
    if (loop === undefined) {
      addTerm(total);
      return total;
    }
    writer.open(`for (var ${loop.name} = 0u; ${loop.name} < ${loop.count}u; ${loop.name}++)`);
    if (depth === loops.length - 1) addTerm(total);
    else if (fold.rounds) fold.add(total, level(depth + 1, null));
    else level(depth + 1, total);
    writer.close();
    return total;
  };
  return reduce.some(({ size }) => size === 0) ? fold.start() : level(0, null);
}

/**
 * Folds what the members of each team have, in two turns: some members fold every so-manieth of the values, then the first member what
 * these have. Two barriers cost less than those of a tree, and folds stay short.
 */
function foldTeam(fold: Fold, { team, isTeamInside }: Shape, threads: number, own: string, member: string): string {
  const { writer } = fold;
  const shared = writer.shared(valueType(fold.dtype, fold.lanes), threads);
  writer.line(`${shared}[local] = ${own};`);
  /** From one member of a team to the next. */
  const stride = isTeamInside ? 1 : threads / team;
  const total = fold.start();
  const turn = (members: number, step: number): void => {
    writer.line("workgroupBarrier();");
    writer.open(step === 1 ? `if (${member} == 0u)` : `if (${member} < ${step}u)`);
    writer.line(`${total} = ${shared}[local];`);
    const i = writer.fresh("i");
    writer.open(`for (var ${i} = 1u; ${i} < ${members / step}u; ${i}++)`);
    fold.add(total, `${shared}[local + ${i} * ${step * stride}u]`);
    writer.close();
    if (step > 1) writer.line(`${shared}[local] = ${total};`);
    writer.close();
  };
  const middle = 2 ** Math.floor(Math.log2(team) / 2);
  if (middle > 1) turn(team, middle);
  turn(middle > 1 ? middle : team, 1);
  return total;
}

/** How values of a dtype are folded. */
class Fold {
  readonly writer: WgslWriter;
  readonly lanes: Lanes;
  readonly dtype: Value["dtype"];
  /** Whether the order of folding can be seen in the result. */
  readonly rounds: boolean;
  readonly longest: number;
  readonly #op: Reduction["op"];

  constructor(writer: WgslWriter, kernel: Kernel, { op, body }: Reduction, lanes: Lanes) {
    this.writer = writer;
    this.lanes = lanes;
    this.dtype = body.dtype;
    this.rounds = op === "sum" && body.dtype === "f32";
    this.longest = this.rounds && !reusesLoads(kernel) ? longestSum : longestLoop;
    this.#op = op;
  }

  /** Declares a total of no terms. */
  start(): string {
    const name = this.writer.fresh("total");
    this.writer.line(
      `var ${name}: ${valueType(this.dtype, this.lanes)} = ${splat(this.#identity(), this.dtype, this.lanes)};`,
    );
    return name;
  }

  #identity(): string {
    if (this.#op === "sum" || this.dtype === "bool" || this.dtype === "u32") return numeral(0, this.dtype);
    return this.dtype === "i32" ? numeral(-(2 ** 31), "i32") : this.writer.call("fromBits", 1, "0xff800000u");
  }

  add(total: string, value: string): void {
    this.writer.line(`${total} = ${this.combined(total, value)};`);
  }

  combined(one: string, other: string): string {
    if (this.#op === "max") return extremum(this.writer, "maximum", one, other, this.dtype, this.lanes);
    return `${one} + ${other}`;
  }
}
