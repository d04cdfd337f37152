/**
 * Steps that do the same to different arrays are run as one: the norms of all weights of a network, their updates, the checks of their
 * gradients. How many steps a program has then doesn't grow with the number of its arrays.
 */
import { atOnce } from "../devices/eventLoop.ts";
import { at } from "../graph/shape.ts";
import { factoredContractionOf, reusesLoads } from "../kernel/contraction.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { kernelForm, kernelKey } from "../kernel/kernelKey.ts";
import { normalizeKernel } from "../kernel/normalize.ts";
import { afterOf, type PlanBuffer, type PlanStep } from "../kernel/plan.ts";
import { Bundles } from "./bundles.ts";
import { Dependencies } from "./dependencies.ts";
import { type Overwrite, placesOf } from "./places.ts";

/** Members of one step at most: their numbers are a table of limited size. */
const mostMembers = 256;
/** Operations from which on a product is run with such of its shape alone: it may have a schedule for that. */
const largeProduct = 2 ** 23;

/** Steps of which some have members, and the temporaries that must lie side by side for them. */
export type Batched = { readonly steps: readonly PlanStep[]; readonly bundles: readonly (readonly number[])[] };

/** A buffer as far as it matters here; a role that is null: a temporary, which shares its memory with no other. */
export type UnplacedBuffer = Pick<PlanBuffer, "dtype" | "length"> & { readonly role: PlanBuffer["role"] | null };

/**
 * Puts steps together where that can be, in another order if need be.
 * @param steps in an order of computation
 * @param overwrites which buffers are written over which
 * @param moves buffers that don't lie in the same memory in each run
 * @param together temporaries that have to lie side by side already
 */
export function batchSteps(
  steps: readonly PlanStep[],
  buffers: readonly UnplacedBuffer[],
  overwrites: readonly Overwrite[],
  moves: ReadonlySet<number> = new Set(),
  together: Batched["bundles"] = [],
): Batched {
  return atOnce(batchingSteps(steps, buffers, overwrites, moves, together));
}

/** The same, with pauses. */
export function* batchingSteps(
  steps: readonly PlanStep[],
  buffers: readonly UnplacedBuffer[],
  overwrites: readonly Overwrite[],
  moves: ReadonlySet<number> = new Set(),
  together: Batched["bundles"] = [],
): Generator<void, Batched> {
  const kinds = kindsOf(steps, buffers, moves);
  yield;
  const dependencies = new Dependencies(steps, overwrites);
  yield;
  const bundles = new Bundles(steps, (buffer) => isTemporary(at(buffers, buffer)));
  if (!bundles.join(together)) throw new Error("what is made by one step is read and written by another");
  const names = new Names();
  const batched: PlanStep[] = [];
  const schedule = new Schedule(steps, buffers, dependencies, kinds, placesOf(steps, overwrites));
  for (let ready = schedule.next(); ready.length > 0; ready = schedule.next()) {
    // What can't lie with the others waits for the next turn.
    const [first, ...others] = ready.map((step) => ({ index: step, step: at(steps, step) }));
    if (first === undefined) break;
    const members = [first];
    for (const other of others) {
      if (members.length < mostMembers && bundles.join(rowsOf(first.step, other.step))) members.push(other);
    }
    schedule.run(members.map(({ index }) => index));
    batched.push(
      oneOf(
        members.map(({ step }) => step),
        names,
      ),
    );
    yield;
  }
  return { steps: batched, bundles: bundles.all };
}

/** By step a text that is equal for those which may be put together; null for those which may not. */
function kindsOf(
  steps: readonly PlanStep[],
  buffers: readonly UnplacedBuffer[],
  moves: ReadonlySet<number>,
): readonly (string | null)[] {
  const forms = new Map<Kernel, string | null>();
  const formOf = (kernel: Kernel): string | null => {
    const known = forms.get(kernel);
    if (known !== undefined) return known;
    const isLarge = kernel.flops >= largeProduct && factoredContractionOf(kernel) !== null;
    const form = kernel.stores[0].length === 0 ? null : (isLarge ? kernelKey : kernelForm)(normalizeKernel(kernel));
    forms.set(kernel, form);
    return form;
  };
  /** Of stages the forms of all, and what each has of what is touched. */
  const formOfStep = (step: PlanStep): string | null => {
    const { kernel, operands, results, stages } = step;
    if (stages === undefined) return formOf(kernel);
    const touched = [...operands, ...results];
    const forms = stages.map(({ step: part, rows }) => {
      const wiring = [...part.operands, ...part.results].map((buffer) => touched.indexOf(buffer));
      return `${wiring.join()} ${rows.length}\n${formOf(part.kernel) ?? ""}`;
    });
    return forms.join("\n");
  };
  const memories = buffers.map(memoryOf);
  return steps.map((step) => {
    const { kernel, operands, results } = step;
    const form = formOfStep(step);
    const touched = [...operands, ...results];
    if (form === null || touched.some((buffer) => moves.has(buffer))) return null;
    // What products read in fours they don't look for where they write.
    const read = new Set(operands.map((buffer) => at(memories, buffer)).filter((memory) => memory !== "temporary"));
    if (reusesLoads(kernel) && results.some((buffer) => read.has(at(memories, buffer)))) return null;
    return `${touched.map((buffer) => at(memories, buffer)).join()}\n${form}`;
  });
}

const isTemporary = ({ role }: UnplacedBuffer): boolean => role === null || role.kind === "temporary";

/** What memory a buffer is in, as far as that is known before temporaries are placed. */
function memoryOf({ role }: UnplacedBuffer, buffer: number): string {
  if (role === null || role.kind === "temporary") return "temporary";
  const place = role.kind === "constant" ? undefined : role.place;
  return place === undefined ? `buffer ${buffer}` : `arena ${place.arena}`;
}

/** Buffers of two steps that are at the same places. */
function rowsOf(one: PlanStep, other: PlanStep): number[][] {
  const rows = (of: (step: PlanStep) => readonly number[]): number[][] =>
    of(one).map((buffer, place) => [buffer, at(of(other), place)]);
  return [...rows(({ operands }) => operands), ...rows(({ results }) => results)];
}

/** One step of several. */
function oneOf(members: readonly PlanStep[], names: Names): PlanStep {
  const [first, ...others] = members;
  if (first === undefined) throw new RangeError("no steps to put together");
  if (others.length === 0) return first;
  const sum = (of: (kernel: Kernel) => number): number => members.reduce((all, { kernel }) => all + of(kernel), 0);
  const kernel = {
    ...first.kernel,
    name: names.unused(`${first.kernel.name}_times_${members.length}`),
    flops: sum(({ flops }) => flops),
    bytes: sum(({ bytes }) => bytes),
  };
  const operands = [...new Set(members.flatMap((member) => member.operands))];
  const [result, ...results] = first.results;
  const made = others.flatMap((member) => member.results);
  return { kernel, operands, results: [result, ...results, ...made], ...afterOf(members), members };
}

/** Kernels of a plan have different names. */
class Names {
  readonly #taken = new Map<string, number>();

  unused(name: string): string {
    const taken = this.#taken.get(name) ?? 0;
    this.#taken.set(name, taken + 1);
    return taken === 0 ? name : `${name}_${taken}`;
  }
}

/**
 * Which steps can be run now, kind by kind. A kind waits while some of its steps can't be run yet that don't wait for the others of
 * it, so that as many as can be are there together; but not if too much memory waits with them.
 */
class Schedule {
  readonly #steps: readonly PlanStep[];
  readonly #bytesOf: (buffer: number) => number;
  /** Of each buffer the steps that are yet to read it. */
  readonly #readers = new Map<number, number>();
  /** Bytes that may wait: as many as a program is given, or gives. */
  readonly #patience: number;
  readonly #dependencies: Dependencies;
  readonly #kinds: readonly (string | null)[];
  /** Steps of one place are run before those of the next. */
  readonly #places: readonly number[];
  readonly #waiting: number[];
  /** Steps that can be run, in ascending order. */
  #ready: number[] = [];
  /** Steps of each kind that have not been run. */
  readonly #left = new Map<string, Set<number>>();

  constructor(
    steps: readonly PlanStep[],
    buffers: readonly UnplacedBuffer[],
    dependencies: Dependencies,
    kinds: readonly (string | null)[],
    places: readonly number[],
  ) {
    this.#steps = steps;
    this.#places = places;
    this.#bytesOf = (buffer) => (isTemporary(at(buffers, buffer)) ? 4 * at(buffers, buffer).length : 0);
    const bytesOf = (kind: "input" | "output"): number =>
      buffers.reduce((sum, { role, length }) => sum + (role?.kind === kind ? 4 * length : 0), 0);
    this.#patience = Math.max(bytesOf("input"), bytesOf("output"));
    for (const buffer of steps.flatMap(({ operands }) => operands)) {
      this.#readers.set(buffer, (this.#readers.get(buffer) ?? 0) + 1);
    }
    this.#dependencies = dependencies;
    this.#kinds = kinds.map((kind, step) => (kind === null ? null : `${at(places, step)}\n${kind}`));
    this.#waiting = dependencies.before.map((before) => before.size);
    this.#kinds.forEach((kind, step) => {
      if (this.#waiting[step] === 0) this.#ready.push(step);
      if (kind === null) return;
      const known = this.#left.get(kind);
      if (known === undefined) this.#left.set(kind, new Set([step]));
      else known.add(step);
    });
  }

  /** The steps to run next, all of one kind; none when all have been run. */
  next(): readonly number[] {
    const ready = new Map<string, number[]>();
    const place = this.#ready.reduce((least, step) => Math.min(least, at(this.#places, step)), Infinity);
    for (const step of this.#ready.filter((other) => at(this.#places, other) === place)) {
      const kind = at(this.#kinds, step);
      if (kind === null || this.#left.get(kind)?.size === 1) return [step];
      const known = ready.get(kind);
      if (known === undefined) ready.set(kind, [step]);
      else known.push(step);
    }
    const waiting = [...ready.values()].map((of) => ({
      of,
      bytes: of.reduce((sum, step) => sum + this.#freedBy(step), 0),
    }));
    if (waiting.reduce((sum, { bytes }) => sum + bytes, 0) > this.#patience) {
      return waiting.reduce((most, other) => (other.bytes > most.bytes ? other : most)).of;
    }
    let [best, fewest]: [readonly number[], number] = [[], Infinity];
    for (const [kind, steps] of ready) {
      const share = this.#yetToCome(kind, steps) / steps.length;
      if (share < fewest) [best, fewest] = [steps, share];
      if (share === 0) break;
    }
    return best;
  }

  /** Bytes of temporaries that only this step is yet to read, without those that it makes: as much less lies there when it has been run. */
  #freedBy(step: number): number {
    const { operands, results } = at(this.#steps, step);
    const sum = (buffers: readonly number[]): number =>
      buffers.reduce((bytes, buffer) => bytes + this.#bytesOf(buffer), 0);
    return Math.max(0, sum(operands.filter((buffer) => this.#readers.get(buffer) === 1)) - sum(results));
  }

  /** How many steps of a kind aren't ready and wait for none of those that are. */
  #yetToCome(kind: string, ready: readonly number[]): number {
    const isReady = new Set(ready);
    let count = 0;
    for (const step of this.#left.get(kind) ?? []) {
      if (!isReady.has(step) && !ready.some((other) => this.#dependencies.waitsFor(step, other))) count++;
    }
    return count;
  }

  run(steps: readonly number[]): void {
    const done = new Set(steps);
    this.#ready = this.#ready.filter((step) => !done.has(step));
    for (const step of steps) {
      for (const buffer of at(this.#steps, step).operands) {
        this.#readers.set(buffer, (this.#readers.get(buffer) ?? 0) - 1);
      }
      const kind = at(this.#kinds, step);
      if (kind !== null) this.#left.get(kind)?.delete(step);
      for (const next of at(this.#dependencies.after, step)) {
        const waiting = at(this.#waiting, next) - 1;
        this.#waiting[next] = waiting;
        if (waiting === 0) this.#ready.push(next);
      }
    }
    this.#ready.sort((a, b) => a - b);
  }
}
