/**
 * Kernels that fold: each point of the parallel axes, or four neighbours, is folded by a team of threads of one workgroup, each of which
 * takes every so-manieth term; then the team's values are folded in a tree. How many threads are in a team follows from the shape
 * alone, so that sums have one order everywhere.
 */
import { at } from "../../../graph/shape.ts";
import type { Axis, Kernel, Reduction, Scalar } from "../../../kernel/kernel.ts";
import { rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import { type AxisText, coordinatesOf } from "./addresses.ts";
import { allowsLanes, ExpressionEmitter, type Loads, type Place, type Value } from "./expression.ts";
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
const largestTeam = 256;
/** Threads that keep a GPU busy: points beyond need no team for it. */
const enoughThreads = 2 ** 16;

type Shape = {
  /** Points, or fours of points. */
  readonly points: number;
  readonly terms: number;
  readonly lane: number | null;
  readonly team: number;
  /** Whether neighbouring threads are of one team, not of neighbouring points. */
  readonly isTeamInside: boolean;
};

export function emitReduction(kernel: Kernel, reduction: Reduction, aliases: Aliases): WgslKernel {
  const shape = shapeOf(kernel, reduction);
  const { lane, team } = shape;
  const threads = Math.max(workgroupSize, team);
  const width = threads / team;
  const vectors = vectorArrays(kernel, aliases, lane);
  const arrays = arraysOf(kernel, aliases, (bound) => (vectors(bound) ? 4 : 1));
  const loads = loadsFrom(arrays, aliases, vectors);
  const writer = new WgslWriter();
  const groups = foldedGroups(Math.ceil(shape.points / width));
  const [parallel, reduce] = [axesOf(kernel, "parallel"), axesOf(kernel, "reduce")];

  const member = team === 1 ? "0u" : writer.local(shape.isTeamInside ? `local % ${team}u` : `local / ${width}u`);
  const column = team === 1 ? "local" : writer.local(shape.isTeamInside ? `local / ${team}u` : `local % ${width}u`);
  const isWhole = shape.points % width === 0 && groups[1] === 1;
  const point = writer.local(`${groupNumber(groups)} * ${width}u + ${column}`);
  // Threads without a point fold the last one again: all have to come to the barriers.
  const known = isWhole || team === 1 ? point : writer.local(`min(${point}, ${shape.points - 1}u)`);
  if (!isWhole && team === 1) writer.open(`if (${point} < ${shape.points}u)`);
  const { axes: coordinates, lane: lanes } = placeOf(writer, parallel, lane, known);
  const place = (reduced: readonly AxisText[], accumulator: Value | null): Place => ({
    axes: [...coordinates, ...reduced],
    lane: lanes,
    accumulator,
  });
  const unreduced = reduce.map(({ size }): AxisText => ({ text: "0u", size }));

  const fold = new Fold(writer, reduction, lane === null ? 1 : 4);
  const term = (reduced: readonly AxisText[]): Value => {
    const emitter = new ExpressionEmitter(writer, kernel, loads, place(reduced, null));
    const [value] = emitter.emit(reduction.body);
    if (value === undefined) throw new Error("an expression without a value");
    return { ...value, text: emitter.widened(value), lanes: fold.lanes };
  };
  const own = team === 1 ? foldAlone(fold, reduce, term) : foldShare(fold, shape, reduce, member, term);
  const folded = team === 1 ? own : foldTeam(fold, shape, threads, own);
  if (team > 1)
    writer.open(`if (${[`${member} == 0u`, ...(isWhole ? [] : [`${point} < ${shape.points}u`])].join(" && ")})`);
  store(
    writer,
    kernel,
    arrays,
    vectors,
    loads,
    place(unreduced, { text: folded, dtype: reduction.body.dtype, lanes: fold.lanes }),
  );
  if (team > 1 || !isWhole) writer.close();

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
  const terms = pointsOf(reduce);
  const last = parallel.length - 1;
  const innermost = reduce.length === 0 ? -1 : kernel.axes.length - 1;
  const loads = scalarsOf(body).filter((scalar) => scalar.kind === "load");
  const isAlong = (axis: number): boolean =>
    axis >= 0 && loads.some((load) => Math.abs(at(load.at.coefficients, axis)) === 1);
  // What lies side by side in memory is read by threads side by side.
  const isTeamInside = isAlong(innermost) && !isProduct(body);
  const row = parallel[last]?.size ?? 1;
  const takesLanes = !isTeamInside && row % 4 === 0 && allowsLanes(rootsOf(kernel), last, row);
  const lane = takesLanes ? last : null;
  const points = pointsOf(parallel) / (takesLanes ? 4 : 1);
  return { points, terms, lane, isTeamInside, team: teamOf(points, terms, isTeamInside) };
}

/** Threads that fold one point: so many that all threads together keep a GPU busy, if there are terms enough for each. */
function teamOf(points: number, terms: number, isTeamInside: boolean): number {
  const wanted = isTeamInside && terms >= workgroupSize ? workgroupSize / 2 : 1;
  let team = 1;
  while (team < largestTeam && 8 * team <= terms && (team < wanted || team * points < enoughThreads)) team *= 2;
  return team;
}

/** Sums of products, which are most of a GPU's work, have fewer and longer loops. */
const isProduct = (body: Scalar): boolean =>
  body.kind === "binary" && body.op === "multiply" && body.x.kind === "load" && body.y.kind === "load";

const axesOf = ({ axes }: Kernel, wanted: Axis["role"]): readonly Axis[] => axes.filter(({ role }) => role === wanted);

type Term = (reduced: readonly AxisText[]) => Value;

/** One thread goes through all terms, a loop for each axis and several for a long one. */
function foldAlone(fold: Fold, reduce: readonly Axis[], term: Term): string {
  const { writer } = fold;
  type Loop = { readonly name: string; readonly count: number };
  const loops: Loop[] = [];
  const guards: string[] = [];
  const axes = reduce.map(({ size }): AxisText => {
    if (size === 1) return { text: "0u", size };
    const counts = blocks(size, fold.longest);
    const own = counts.map((count): Loop => ({ name: writer.fresh("i"), count }));
    loops.push(...own);
    const text = own.reduce((outer, { name, count }) => (outer === "" ? name : `(${outer} * ${count}u + ${name})`), "");
    if (counts.reduce((product, count) => product * count, 1) > size) guards.push(`${text} < ${size}u`);
    return { text, size };
  });
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

/** A member of a team goes through every `team`-th term. */
function foldShare(fold: Fold, { terms, team }: Shape, reduce: readonly Axis[], member: string, term: Term): string {
  const { writer } = fold;
  const rounds = Math.ceil(terms / team);
  const counts = blocks(rounds, fold.longest);
  const names = counts.map(() => writer.fresh("i"));
  const round = names.reduce(
    (outer, name, i) => (outer === "" ? name : `(${outer} * ${at(counts, i)}u + ${name})`),
    "",
  );
  const sizes = reduce.map(({ size }) => size);
  const level = (depth: number): string => {
    const total = fold.start();
    const name = at(names, depth);
    writer.open(`for (var ${name} = 0u; ${name} < ${at(counts, depth)}u; ${name}++)`);
    if (depth < names.length - 1) {
      fold.add(total, level(depth + 1));
    } else {
      const index = writer.local(`${round} * ${team}u + ${member}`);
      const isGuarded = counts.reduce((product, count) => product * count, team) > terms;
      if (isGuarded) writer.open(`if (${index} < ${terms}u)`);
      fold.add(total, term(coordinatesOf(index, sizes, (text) => writer.local(text))).text);
      if (isGuarded) writer.close();
    }
    writer.close();
    return total;
  };
  return level(0);
}

/** Folds what the members of each team have in a tree; the first member gets the result. */
function foldTeam(fold: Fold, { team, isTeamInside }: Shape, threads: number, own: string): string {
  const { writer } = fold;
  const shared = writer.shared(valueType(fold.dtype, fold.lanes), threads);
  writer.line(`${shared}[local] = ${own};`);
  const width = threads / team;
  for (let half = team / 2; half >= 1; half /= 2) {
    const stride = isTeamInside ? half : half * width;
    writer.line("workgroupBarrier();");
    const isLower = isTeamInside
      ? width === 1
        ? `local < ${half}u`
        : `local % ${team}u < ${half}u`
      : `local < ${stride}u`;
    writer.open(`if (${isLower})`);
    writer.line(`${shared}[local] = ${fold.combined(`${shared}[local]`, `${shared}[local + ${stride}u]`)};`);
    writer.close();
  }
  // The first member of each team reads what it has written itself.
  return writer.local(`${shared}[local]`);
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

  constructor(writer: WgslWriter, { op, body }: Reduction, lanes: Lanes) {
    this.writer = writer;
    this.lanes = lanes;
    this.dtype = body.dtype;
    this.rounds = op === "sum" && body.dtype === "f32";
    this.longest = this.rounds && !isProduct(body) ? longestSum : longestLoop;
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

/** Loop counts, outermost first, whose product is at least `size` and of which none is above `longest`. */
function blocks(size: number, longest: number): number[] {
  if (size <= longest) return [size];
  let inner = longest;
  // A divisor saves the guard.
  for (let divisor = longest; divisor >= 16; divisor--) {
    if (size % divisor === 0) {
      inner = divisor;
      break;
    }
  }
  return [...blocks(Math.ceil(size / inner), longest), inner];
}
