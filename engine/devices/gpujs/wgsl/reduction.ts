/**
 * Kernels that fold: each point of the parallel axes, or four neighbours, is folded by a team of threads of one workgroup, each of which
 * takes every so-manieth term of one axis; then the team's values are folded. How many threads are in a team follows from the shape
 * alone, so that sums have one order everywhere, also where one thread does what a team's would, one after the other.
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
export const foldThreads = 64;
const largestTeam = foldThreads;
/** Threads that keep a GPU busy: points beyond need no team for it. */
const enoughThreads = 2 ** 16;

/**
 * How teams are run: each member by a thread of its own, or all by one thread (for adapters that are software, to whom a barrier costs
 * dearly and few threads are enough). The results are the same, bit for bit.
 */
export type TeamChoice = "threads" | "loops";

/** How a kernel that folds is shared by threads; it follows from the kernel alone, wherever its points are computed. */
export type FoldShape = {
  /** Points, or fours of points. */
  readonly points: number;
  /** The reduce axis, by its number among them, whose terms a team shares. */
  readonly shared: number;
  readonly lane: number | null;
  /** In how many parts the terms of a point are folded, and the threads that do it. */
  readonly team: number;
  readonly threads: number;
  /** Whether neighbouring threads are of one team, not of neighbouring points. */
  readonly isTeamInside: boolean;
  /** Terms that one loop folds at most. */
  readonly longest: number;
};

/** A kernel that folds, with the arrays that it reads and writes. */
export type Folding = {
  readonly kernel: Kernel;
  readonly reduction: Reduction;
  readonly arrays: Parameters<typeof storeResults>[2];
  readonly vectors: Parameters<typeof storeResults>[3];
  readonly loads: Loads;
};

/** What one thread has to do with a point: texts of its number in the team, and of whether there is such a point. */
export type FoldPoint = {
  readonly member: string;
  readonly isPoint: string;
  /** Where the point is; for threads without one somewhere else, of which nothing is stored. */
  readonly place: Pick<Place, "axes" | "lane">;
};

export function emitReduction(
  kernel: Kernel,
  reduction: Reduction,
  aliases: Aliases,
  teams: TeamChoice = "threads",
): WgslKernel {
  const shape = foldShapeOf(kernel, reduction, teams);
  const { lane, threads } = shape;
  const vectors = vectorArrays(kernel, aliases, lane);
  const arrays = arraysOf(kernel, aliases, (bound) => (vectors(bound) ? 4 : 1));
  const loads = loadsFrom(arrays, aliases, vectors);
  const writer = new WgslWriter();
  const groups = foldedGroups(Math.ceil(shape.points / pointsAtOnce(shape)));
  const { member, column } = seatOf(writer, shape);
  const point = writer.local(`${groupNumber(groups)} * ${pointsAtOnce(shape)}u + ${column}`);
  // Asked even where there is a point for each thread: kernels over other sizes have the same text then (`batch.ts`).
  const isPoint = `${point} < ${shape.points}u`;
  // Threads without a point fold the last one again: all have to come to the barriers.
  const known = threads === 1 ? point : writer.local(`min(${point}, ${shape.points - 1}u)`);
  if (threads === 1) writer.open(`if (${isPoint})`);
  const place = placeOf(writer, axesOf(kernel, "parallel"), lane, known);
  foldPoint(writer, { kernel, reduction, arrays, vectors, loads }, shape, { member, isPoint, place });
  if (threads === 1) writer.close();

  const schedule = foldSchedule(shape);
  return {
    name: kernel.name,
    schedule,
    text: moduleText(schedule, arrays, writer, foldThreads),
    bindings: arrays.bindings,
    groups,
  };
}

/** In a line. */
export function foldSchedule({ lane, team, threads, isTeamInside }: FoldShape): string {
  return [
    lane === null ? "one point" : "four points",
    team === 1
      ? "a thread"
      : threads === 1
        ? `a thread for a team of ${team}`
        : `a team of ${team} ${isTeamInside ? "neighbouring threads" : "threads"}`,
  ].join(" ");
}

/** Points, or fours of points, that a workgroup folds at a time. */
export const pointsAtOnce = ({ threads }: FoldShape): number => foldThreads / threads;

/** Texts of a thread's number in its team and of its team's number among those of the workgroup. */
export function seatOf(
  writer: WgslWriter,
  { threads, isTeamInside }: FoldShape,
): { readonly member: string; readonly column: string } {
  if (threads === 1) return { member: "0u", column: "local" };
  const width = foldThreads / threads;
  // Divided even where the workgroup is one team, so that teams of all sizes have one text (`batch.ts`).
  return isTeamInside
    ? { member: writer.local(`local % ${threads}u`), column: writer.local(`local / ${threads}u`) }
    : { member: writer.local(`local / ${width}u`), column: writer.local(`local % ${width}u`) };
}

/** Folds a point, or four, and stores what comes of it. If several threads do it, all threads of the workgroup have to come here. */
export function foldPoint(writer: WgslWriter, folding: Folding, shape: FoldShape, point: FoldPoint): void {
  const { kernel, reduction, loads } = folding;
  const { member, isPoint } = point;
  const place = (reduced: readonly AxisText[], accumulator: Value | null): Place => ({
    axes: [...point.place.axes, ...reduced],
    lane: point.place.lane,
    accumulator,
  });
  const reduce = axesOf(kernel, "reduce");
  const unreduced = reduce.map(({ size }): AxisText => ({ text: "0u", size }));
  const fold = new Fold(writer, reduction, shape.lane === null ? 1 : 4, shape.longest);
  const term = (reduced: readonly AxisText[]): Value => {
    const emitter = new ExpressionEmitter(writer, kernel, loads, place(reduced, null));
    const [value] = emitter.emit(reduction.body);
    if (value === undefined) throw new Error("an expression without a value");
    return { ...value, text: emitter.widened(value), lanes: fold.lanes };
  };
  const { team, threads } = shape;
  const ofMember = (number: string): string => foldTerms(fold, reduce, shape, number, term);
  const folded =
    team === 1
      ? ofMember(member)
      : threads === 1
        ? foldAlone(fold, team, ofMember)
        : foldTeam(fold, shape, ofMember(member), member);
  if (threads > 1) writer.open(`if (${member} == 0u && ${isPoint})`);
  store(writer, folding, place(unreduced, { text: folded, dtype: reduction.body.dtype, lanes: fold.lanes }));
  if (threads > 1) writer.close();
}

function store(writer: WgslWriter, { kernel, arrays, vectors, loads }: Folding, place: Place): void {
  const emitter = new ExpressionEmitter(writer, kernel, loads, place);
  const values = emitter.emit(...kernel.stores.map(({ value }) => value));
  const widened = values.map((value) => ({ ...value, text: emitter.widened(value) }));
  storeResults(writer, kernel, arrays, vectors, place, widened);
}

/** @param kernel normalized */
export function foldShapeOf(kernel: Kernel, reduction: Reduction, teams: TeamChoice = "threads"): FoldShape {
  const { body } = reduction;
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
  const longest = rounds(reduction) && !reusesLoads(kernel) ? longestSum : longestLoop;
  const team = teamOf(points, terms, isTeamInside);
  return { points, shared, lane, isTeamInside, team, threads: teams === "loops" ? 1 : team, longest };
}

const rounds = ({ op, body }: Reduction): boolean => op === "sum" && body.dtype === "f32";

/** Threads that share the terms of an axis: so many that all threads together keep a GPU busy, if there are terms enough for each. */
function teamOf(points: number, terms: number, isTeamInside: boolean): number {
  const wanted = isTeamInside && terms >= foldThreads ? foldThreads / 2 : 1;
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
function foldTerms(
  fold: Fold,
  reduce: readonly Axis[],
  { team, shared }: FoldShape,
  member: string,
  term: Term,
): string {
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
function foldTeam(fold: Fold, { team, isTeamInside }: FoldShape, own: string, member: string): string {
  const { writer } = fold;
  const shared = writer.shared(valueType(fold.dtype, fold.lanes), foldThreads);
  writer.line(`${shared}[local] = ${own};`);
  /** From one member of a team to the next. */
  const stride = isTeamInside ? 1 : foldThreads / team;
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
  for (const { members, step } of turnsOf(team)) turn(members, step);
  return total;
}

/** The same by one thread. */
function foldAlone(fold: Fold, team: number, ofMember: (number: string) => string): string {
  const { writer } = fold;
  const [kept, member] = [writer.fresh("kept"), writer.fresh("member")];
  writer.line(`var ${kept}: array<${valueType(fold.dtype, fold.lanes)}, ${team}>;`);
  writer.open(`for (var ${member} = 0u; ${member} < ${team}u; ${member}++)`);
  writer.line(`${kept}[${member}] = ${ofMember(member)};`);
  writer.close();
  const total = fold.start();
  for (const { members, step } of turnsOf(team)) {
    const [first, i] = [writer.fresh("member"), writer.fresh("i")];
    writer.open(`for (var ${first} = 0u; ${first} < ${step}u; ${first}++)`);
    writer.line(`${total} = ${kept}[${first}];`);
    writer.open(`for (var ${i} = 1u; ${i} < ${members / step}u; ${i}++)`);
    fold.add(total, `${kept}[${first} + ${i} * ${step}u]`);
    writer.close();
    writer.line(`${kept}[${first}] = ${total};`);
    writer.close();
  }
  return total;
}

/** Of how many members each turn folds the values, and how many have one afterwards. */
function turnsOf(team: number): readonly { readonly members: number; readonly step: number }[] {
  const middle = 2 ** Math.floor(Math.log2(team) / 2);
  const last = { members: middle > 1 ? middle : team, step: 1 };
  return middle > 1 ? [{ members: team, step: middle }, last] : [last];
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

  constructor(writer: WgslWriter, { op, body }: Reduction, lanes: Lanes, longest: number) {
    this.writer = writer;
    this.lanes = lanes;
    this.dtype = body.dtype;
    this.rounds = rounds({ op, body });
    this.longest = longest;
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
