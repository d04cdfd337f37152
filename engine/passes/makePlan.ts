/** From fused kernels to a plan: names, counts, buffers and where they live. */
import type { DeviceLimits } from "../devices/device.ts";
import { atOnce } from "../devices/eventLoop.ts";
import { EvenkeelError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { operationName } from "../graph/print.ts";
import { at, formatShape, sizeOf } from "../graph/shape.ts";
import { placesTogether } from "../kernel/arenas.ts";
import type { Axis, Kernel, Scalar } from "../kernel/kernel.ts";
import { kernelKey } from "../kernel/kernelKey.ts";
import type { LoweredKernel } from "../kernel/kernelWalk.ts";
import { lowerKernel } from "../kernel/lowerKernel.ts";
import { childrenOf, scalarsOf } from "../kernel/scalar.ts";
import { scatterOf } from "../kernel/scatter.ts";
import { storedBytes } from "../kernel/storage.ts";
import { madeBehind, storageOf } from "../kernel/views.ts";
import type { ArenaPlace, BufferRole, Plan, PlanBuffer, PlanStep } from "../kernel/plan.ts";
import { type Donation, overwritingOf } from "./aliasOutputs.ts";
import { batchingSteps } from "./batchSteps.ts";
import { chainRows } from "./chainRows.ts";
import { choosingLayouts } from "./chooseLayouts.ts";
import { fusing } from "./fuse.ts";
import { gatheringSteps } from "./gatherSteps.ts";
import { inlineFactors } from "./inlineFactors.ts";
import { joiningSteps } from "./joinSteps.ts";
import { memoriesOf } from "./memories.ts";
import { orderByLevel } from "./orderByLevel.ts";
import { overwriteLast } from "./overwriteLast.ts";
import { packFloat16, roundedIn } from "./packFloat16.ts";
import type { Overwrite } from "./places.ts";
import { planMemory } from "./planMemory.ts";
import { recomputing } from "./recompute.ts";
import { splitProducts } from "./splitProducts.ts";
import { updateEarly } from "./updateEarly.ts";

/** Where the first outputs lie, if the caller binds memory that they share; null: on its own. */
export type OutputPlaces = readonly (ArenaPlace | null)[];

type DraftBuffer = Omit<PlanBuffer, "role"> & { role: BufferRole | null };

/**
 * Fuses a graph into kernels and plans their memory for a device with the given limits. `donations` names the outputs that
 * replace inputs and may take their memory. @param places of outputs that replace none.
 */
export function makePlan(
  graph: Graph,
  limits: DeviceLimits,
  donations: readonly Donation[] = [],
  places: OutputPlaces = [],
): Plan {
  return atOnce(planning(graph, limits, donations, places));
}

/** The same, with pauses. */
export function* planning(
  graph: Graph,
  limits: DeviceLimits,
  donations: readonly Donation[] = [],
  places: OutputPlaces = [],
): Generator<void, Plan> {
  const inOrder = yield* fusing(graph, limits, new Set(donations.map(({ input }) => at(graph.inputs, input))));
  yield;
  const ordered = updateEarly(inOrder, graph, donations);
  yield;
  const laid = yield* choosingLayouts(yield* recomputing(ordered, graph, limits, donations), graph, limits);
  yield;
  const fused = inlineFactors(laid.kernels, graph, limits);
  const buffers: DraftBuffer[] = [];
  const bufferOf = new Map<Node, number>();
  const addBuffer = (node: Node, role: BufferRole | null): number => {
    const length = sizeOf(node.shape);
    if (length > limits.elements) {
      throw new EvenkeelError(
        "memory",
        `${operationName(node)}: ${node.dtype} ${formatShape(node.shape)} has ${length} elements, the device holds ${limits.elements} in one buffer. ` +
          "Use smaller arrays (a smaller batch), or a device that holds more, such as wasm.",
      );
    }
    const layout = laid.layouts.get(node);
    return buffers.push({ dtype: node.dtype, length, role, ...(layout && { layout }) }) - 1;
  };
  graph.inputs.forEach((input, index) => bufferOf.set(input, addBuffer(input, { kind: "input", index })));

  // An output whose value is computed once and has no buffer yet is computed in place; others are copied.
  const copies: { readonly node: Node; readonly buffer: number }[] = [];
  const roots = new Set(fused.map(({ root }) => root));
  const replaced = new Map(donations.map(({ input, output }) => [output, graph.inputs[input]]));
  graph.outputs.forEach((output, index) => {
    const storage = storageOf(output);
    const place = limits.batches ? (places[index] ?? null) : null;
    const buffer = addBuffer(output, { kind: "output", index, ...(place && { place }) });
    // An input that stays what it is.
    if (replaced.get(index) === storage) return;
    if (roots.has(storage) && !bufferOf.has(storage)) bufferOf.set(storage, buffer);
    else if (sizeOf(output.shape) > 0) copies.push({ node: storage, buffer });
  });

  const kernels = new KernelPool();
  const drafted: PlanStep[] = [];
  const addStep = (root: Node, kernel: LoweredKernel, result: number): void => {
    const operands = kernel.sources.map((source) => {
      const known = bufferOf.get(source);
      if (known !== undefined) return known;
      if (source.kind !== "constant") throw new Error(`makePlan: ${source.kind} ${source.id} has no buffer`);
      const added = addBuffer(source, { kind: "constant", data: source.attributes.data });
      bufferOf.set(source, added);
      return added;
    });
    const gates = madeBehind(kernel.gates, (node) => roots.has(node) || node.kind === "input");
    const after = gates.flatMap((node) => (roots.has(node) ? (bufferOf.get(node) ?? []) : []));
    drafted.push({
      kernel: kernels.kernel(kernel, root),
      operands,
      results: [result],
      ...(after.length > 0 && { after }),
    });
  };
  for (const { root, kernel } of fused) {
    let result = bufferOf.get(root);
    if (result === undefined) {
      result = addBuffer(root, null);
      bufferOf.set(root, result);
    }
    addStep(root, kernel, result);
    yield;
  }
  for (const { node, buffer } of copies) addStep(node, copyKernel(node), buffer);
  const whole = splitProducts(drafted, limits, (length) => buffers.push({ dtype: "f32", length, role: null }) - 1);

  const bufferOfRole = buffersByRole(buffers);
  const donated = donations.map(({ input, output }): Overwrite => {
    return { input: bufferOfRole("input", input), output: bufferOfRole("output", output) };
  });
  const steps = limits.batches && limits.inPlace ? overwriteLast(whole, donated) : whole;
  const overwrites: Overwrite[] = [];
  const inputOf = new Map(donations.map(({ input, output }) => [output, input]));
  const written = new Set(steps.flatMap(({ results }) => results));
  const mayOverwrite = overwritingOf(steps);
  const aliases = graph.outputs.map((_, index) => {
    const donor = inputOf.get(index);
    if (donor === undefined) return null;
    const [input, output] = [bufferOfRole("input", donor), bufferOfRole("output", index)];
    if (!written.has(output)) return donor;
    if (!limits.inPlace || !mayOverwrite(input, output)) return null;
    overwrites.push({ input, output });
    return donor;
  });
  const planWith = (
    ordered: readonly PlanStep[],
    slots: readonly number[],
    roleOf: (temporary: number) => BufferRole,
    packed: ReadonlySet<number> = new Set(),
  ): Plan => {
    const touched = new Set(ordered.flatMap(({ operands, results }) => [...operands, ...results]));
    const placed = buffers.map((buffer, index): PlanBuffer => {
      const { role } = buffer;
      if (role !== null) return { ...buffer, role };
      // What joined steps only hand on takes no memory.
      return {
        ...buffer,
        length: touched.has(index) ? buffer.length : 0,
        role: roleOf(index),
        ...(packed.has(index) && { storage: "float16" as const }),
      };
    });
    return {
      aliases,
      buffers: placed,
      steps: ordered,
      slots,
      inputs: graph.inputs.length,
      outputs: graph.outputs.length,
    };
  };
  const planned = buffers.map(({ dtype, length, role }) => ({ dtype, length, temporary: role === null }));
  if (!limits.overlap) {
    const { roles, slots } = planMemory(planned, steps, limits.temporaries);
    yield;
    const plan = planWith(steps, slots, roles);
    if (limits.results === 1) return plan;
    const joined = yield* joiningSteps(plan, limits);
    // What joined steps make for each other stays in registers, and needs no place any more.
    const again = planMemory(planned, joined.steps, limits.temporaries);
    return sumOf(again.slots) < sumOf(slots) ? planWith(joined.steps, again.slots, again.roles) : joined;
  }
  // Joined before levels part what follows each other, and as if no temporaries shared memory: they don't yet.
  const isKept = (buffer: number): boolean => !at(planned, buffer).temporary;
  const moves = placeLeaves(buffers, donations, aliases, limits);
  const memories = limits.batches ? memoriesOf(buffers, moves) : null;
  const gathered = limits.results > 1 ? yield* gatheringSteps(steps, limits, isKept, overwrites, memories) : steps;
  yield;
  const apart = planWith(gathered, [], (slot) => ({ kind: "temporary", slot, offset: 0 }));
  const joined = limits.results > 1 ? yield* joiningSteps(apart, limits, memories) : apart;
  const rounded = limits.writtenInFours === null ? new Set<number>() : roundedIn(joined.steps);
  const kindOf = (buffer: number): string | null => {
    const { dtype, temporary } = at(planned, buffer);
    return temporary && dtype === "f32" ? (rounded.has(buffer) ? "float16" : "f32") : null;
  };
  const chained = limits.chains
    ? chainRows(joined.steps, limits, overwrites, memories, kindOf)
    : { steps: joined.steps, bundles: [] };
  yield;
  const batched = limits.batches
    ? yield* batchingSteps(chained.steps, buffers, overwrites, moves, chained.bundles)
    : chained;
  const isTemporary = (buffer: number): boolean => at(planned, buffer).temporary;
  const { steps: stored, packed } = packFloat16(batched.steps, limits, isTemporary, batched.bundles);
  const sized = planned.map((buffer, index) =>
    packed.has(index) ? { ...buffer, storage: "float16" as const } : buffer,
  );
  yield;
  const { steps: byLevel, levels } = orderByLevel(
    stored,
    (buffer) => {
      const { temporary, ...array } = at(sized, buffer);
      return temporary ? storedBytes(array) : 0;
    },
    overwrites,
  );
  yield;
  const { roles, slots } = planMemory(sized, byLevel, limits.temporaries, levels, batched.bundles);
  return planWith(byLevel, slots, roles, packed);
}

/** Finds the buffers of inputs and outputs by their numbers. */
function buffersByRole(buffers: readonly DraftBuffer[]): (kind: "input" | "output", index: number) => number {
  const found = { input: new Map<number, number>(), output: new Map<number, number>() };
  for (const [buffer, { role }] of buffers.entries()) {
    if (role?.kind === "input" || role?.kind === "output") found[role.kind].set(role.index, buffer);
  }
  return (kind, index) => found[kind].get(index) ?? -1;
}

/**
 * Tells the buffers of a state's leaves their places in its arenas, and gives those that have none: leaves whose new values go to second
 * buffers, which take turns with the first.
 */
function placeLeaves(
  buffers: readonly DraftBuffer[],
  donations: readonly Donation[],
  aliases: Plan["aliases"],
  limits: DeviceLimits,
): ReadonlySet<number> {
  const find = buffersByRole(buffers);
  if (!limits.batches) return new Set();
  const leaves = donations.map(({ input, output }) => ({ input, output, buffer: find("input", input) }));
  const { places } = placesTogether(
    leaves.map(({ buffer }) => at(buffers, buffer)),
    4 * limits.elements,
  );
  const moves = new Set<number>();
  leaves.forEach(({ input, output, buffer }, leaf) => {
    const both = [buffer, find("output", output)];
    const place = at(places, leaf);
    const isInPlace = at(aliases, output) === input;
    for (const index of both) {
      const draft = at(buffers, index);
      if (!isInPlace) moves.add(index);
      else if (place !== null && (draft.role?.kind === "input" || draft.role?.kind === "output")) {
        draft.role = { ...draft.role, place };
      }
    }
  });
  return moves;
}

const sumOf = (slots: readonly number[]): number => slots.reduce((sum, bytes) => sum + bytes, 0);

/** Reads a value that has memory (or is a literal) and writes it elsewhere. */
function copyKernel(node: Node): LoweredKernel {
  const shape = [sizeOf(node.shape)];
  const linear = { offset: 0, coefficients: [1] };
  const value: Scalar = { kind: "load", dtype: node.dtype, operand: 0, at: linear };
  if (node.kind === "literal") {
    const result = lowerKernel(node, () => false);
    if (result.kind === "kernel") return result.kernel;
  }
  const operand = { dtype: node.dtype, length: sizeOf(node.shape) };
  return {
    parallel: shape,
    reduce: [],
    sources: [node],
    gates: [],
    operands: [operand],
    reduction: null,
    value,
    at: linear,
  };
}

function axesOf({ parallel, reduce }: LoweredKernel): Axis[] {
  return [
    ...parallel.map((size) => ({ role: "parallel" as const, size })),
    ...reduce.map((size) => ({ role: "reduce" as const, size })),
  ];
}

function finishKernel(name: string, lowered: LoweredKernel, root: Node): Kernel {
  const { parallel, reduce, operands, reduction, value, at } = lowered;
  const points = sizeOf(parallel);
  const length = sizeOf(root.shape);
  const axes = axesOf(lowered);
  const scatter = scatterOf({ axes, reduction });
  // Of a scatter each value counts once, for its row.
  const rows = scatter === null ? 1 : sizeOf(parallel.filter((_, axis) => scatter.row.coefficients[axis] !== 0));
  const folded =
    reduction === null ? 0 : (points / rows) * sizeOf(reduce) * (countOperations(scatter?.value ?? reduction.body) + 1);
  return {
    name,
    axes,
    operands,
    reduction,
    stores: [{ value, dtype: root.dtype, length, at }],
    flops: folded + points * countOperations(value),
    bytes: 4 * (length + operands.reduce((sum, operand) => sum + operand.length, 0)),
  };
}

/** Arithmetic operations of an expression, each shared one once. */
function countOperations(scalar: Scalar): number {
  return scalarsOf(scalar).filter(isArithmetic).length;
}

function isArithmetic({ kind }: Scalar): boolean {
  return (
    kind === "unary" ||
    kind === "binary" ||
    kind === "compare" ||
    kind === "select" ||
    kind === "cast" ||
    kind === "shift"
  );
}

/** Equal kernels are one object: a device compiles each once. */
class KernelPool {
  readonly #known = new Map<string, Kernel>();

  kernel(lowered: LoweredKernel, root: Node): Kernel {
    const unnamed = finishKernel("", lowered, root);
    const key = `${unnamed.operands.map(({ length }) => length).join()}\n${kernelKey(unnamed)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const kernel = { ...unnamed, name: `${describe(lowered, root)}_${this.#known.size}` };
    this.#known.set(key, kernel);
    return kernel;
  }
}

/** What a kernel computes, in a few words: its operations from the result back. */
function describe(kernel: LoweredKernel, root: Node): string {
  const words: string[] = [];
  const scatter = scatterOf({ axes: axesOf(kernel), reduction: kernel.reduction });
  const seen = new Set<Scalar>();
  const visit = (scalar: Scalar): void => {
    if (seen.has(scalar) || words.length >= 4) return;
    seen.add(scalar);
    if (scalar.kind === "unary" || scalar.kind === "binary" || scalar.kind === "compare") words.push(scalar.op);
    else if (isArithmetic(scalar) || scalar.kind === "threefry" || scalar.kind === "gather") words.push(scalar.kind);
    childrenOf(scalar).forEach(visit);
  };
  visit(kernel.value);
  if (kernel.reduction !== null) {
    words.push(scatter === null ? kernel.reduction.op : kernel.reduction.op === "sum" ? "scatterAdd" : "scatterMax");
    visit(scatter?.value ?? kernel.reduction.body);
  }
  if (words.length > 0) return words.join("_");
  return root.kind === "input" || root.kind === "constant" ? "copy" : root.kind;
}
