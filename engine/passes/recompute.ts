/** Gives up values that are cheap to compute again, where a program would take too much of the device's memory. */
import type { DeviceLimits } from "../devices/device.ts";
import { type Graph, makeNode } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { scalarsOf } from "../kernel/scalar.ts";
import { madeBehind, storageOf } from "../kernel/views.ts";
import type { Donation } from "./aliasOutputs.ts";
import type { FusedKernel } from "./fuse.ts";
import { placesOf } from "./places.ts";

/** A kernel whose sources may be exchanged for copies. */
type Draft = { readonly root: Node; kernel: FusedKernel["kernel"] };

/** What a program leaves free of the device's memory unless it can't: room for other programs and states. */
const shareOfMemory = 1 / 2;
/** What has to be kept for computing a value again may have this part of its size. */
const smallShare = 1 / 8;
/** What computing again may move of memory, as part of what the program moves anyway: a chain of values might else be computed over and over. */
const shareOfTraffic = 1;

const bytesOf = (node: Node): number => 4 * sizeOf(node.shape);
const trafficOf = ({ root, kernel }: FusedKernel): number =>
  kernel.sources.reduce((sum, source) => sum + bytesOf(source), bytesOf(root));

/**
 * Where most memory is in use, values that are read before and after but not there are computed a second time behind, right before
 * they are read again, until the program takes less than half of the device's memory or nothing can be given up. Such values are
 * element-wise and come from what is there anyway or is small: normalized weights, for one, come from the stored ones and a number
 * for each row. The same kernel is run again, so that no bit changes.
 * @param kernels in the order of computation
 */
export function* recomputing(
  kernels: readonly FusedKernel[],
  graph: Graph,
  limits: DeviceLimits,
  donations: readonly Donation[],
): Generator<void, readonly FusedKernel[]> {
  const outputs = new Set(graph.outputs.map(storageOf));
  const bound = [...graph.inputs, ...graph.outputs.filter((_, index) => donations.every((d) => d.output !== index))];
  const target = limits.memory * shareOfMemory - bound.reduce((sum, node) => sum + bytesOf(node), 0);
  const overwriters = new Map<Node, Node>();
  for (const { input, output } of donations) {
    overwriters.set(at(graph.inputs, input), storageOf(at(graph.outputs, output)));
  }
  const given = finishEarly(kernels, overwriters);
  if (new Uses(given, outputs).peak().bytes <= target) return given;
  let drafts: Draft[] = shrinkEarly(given, outputs).map((each) => ({ ...each }));
  let allowed = kernels.reduce((sum, kernel) => sum + trafficOf(kernel), 0) * shareOfTraffic;
  for (;;) {
    const uses = new Uses(drafts, outputs);
    const { step, bytes } = uses.peak();
    if (bytes <= target) return drafts;
    const found = new Round(drafts, uses, step, overwriters).giveUp(bytes - target, allowed);
    if (found === null) return drafts;
    drafts = found.drafts;
    allowed -= found.traffic;
    yield;
  }
}

/**
 * Where values are computed again behind others (`checkpoint`), whatever needs those of one such place alone comes before those of the next:
 * at no time are those of two places there.
 * @param overwriters by input who writes over it, and so comes behind all who read it
 */
function finishEarly(kernels: readonly FusedKernel[], overwriters: ReadonlyMap<Node, Node>): readonly FusedKernel[] {
  if (kernels.every(({ kernel }) => kernel.gates.length === 0)) return kernels;
  const roots = new Set(kernels.map(({ root }) => root));
  const places = placesOf(
    kernels.map(({ root, kernel: { sources, gates } }) => {
      return { operands: sources, results: [root], after: madeBehind(gates, (node) => roots.has(node)) };
    }),
    [...overwriters].map(([input, output]) => ({ input, output })),
  );
  const numbered = kernels.map((kernel, number) => ({ kernel, place: at(places, number) }));
  return numbered.sort((a, b) => a.place - b.place).map(({ kernel }) => kernel);
}

/**
 * Moves each reduction whose result is much smaller than what it reads right behind the last of that: who counts or sums a gradient
 * doesn't keep it.
 */
function shrinkEarly(kernels: readonly FusedKernel[], outputs: ReadonlySet<Node>): readonly FusedKernel[] {
  const anchorOf = new Map<Node, number>();
  const isMade = (node: Node): boolean => anchorOf.has(node);
  kernels.forEach(({ root, kernel }, index) => {
    const waited = [...kernel.sources, ...madeBehind(kernel.gates, isMade)];
    const behind = waited.map((source) => anchorOf.get(source) ?? -1);
    const read = kernel.sources.reduce((sum, source) => sum + bytesOf(source), 0);
    const shrinks = kernel.reduction !== null && !outputs.has(root) && bytesOf(root) < read * smallShare;
    anchorOf.set(root, shrinks && behind.length > 0 ? Math.max(...behind) : index);
  });
  return kernels
    .map((kernel, index) => ({ kernel, anchor: anchorOf.get(kernel.root) ?? index }))
    .sort((a, b) => a.anchor - b.anchor)
    .map(({ kernel }) => kernel);
}

/** When each value is made and read. */
class Uses {
  readonly madeAt = new Map<Node, number>();
  readonly readers = new Map<Node, number[]>();
  readonly #drafts: readonly FusedKernel[];
  readonly #outputs: ReadonlySet<Node>;

  constructor(drafts: readonly FusedKernel[], outputs: ReadonlySet<Node>) {
    this.#drafts = drafts;
    this.#outputs = outputs;
    drafts.forEach(({ root, kernel }, step) => {
      this.madeAt.set(root, step);
      for (const source of kernel.sources) {
        const known = this.readers.get(source);
        if (known === undefined) this.readers.set(source, [step]);
        else known.push(step);
      }
    });
  }

  /** Whether it lives within a run only. */
  isTemporary(node: Node): boolean {
    return this.madeAt.has(node) && !this.#outputs.has(node);
  }

  lastRead(node: Node): number {
    return this.readers.get(node)?.at(-1) ?? -1;
  }

  /** The step at which temporaries take most. */
  peak(): { readonly step: number; readonly bytes: number } {
    const change = new Float64Array(this.#drafts.length + 1);
    this.#drafts.forEach(({ root }, step) => {
      if (!this.isTemporary(root)) return;
      const end = Math.max(step, this.lastRead(root)) + 1;
      change[step] = (change[step] ?? 0) + bytesOf(root);
      change[end] = (change[end] ?? 0) - bytesOf(root);
    });
    let [bytes, most, step] = [0, 0, 0];
    change.forEach((amount, index) => {
      bytes += amount;
      if (bytes > most) [most, step] = [bytes, index];
    });
    return { step, bytes: most };
  }
}

/** What is given up for one peak. */
class Round {
  readonly #drafts: readonly Draft[];
  readonly #uses: Uses;
  readonly #peak: number;
  readonly #overwriters: ReadonlyMap<Node, Node>;
  /** Copies by the kernel that they are computed for, and where that kernel was. */
  readonly #before = new Map<Draft, Draft[]>();
  readonly #placeOf = new Map<Draft, number>();
  /** Copies that read a value; values that were given up. */
  readonly #copiesReading = new Map<Node, Draft[]>();
  readonly #givenUp = new Set<Node>();
  /** What nobody reads before the peak is only made later. */
  readonly #dropped = new Set<Draft>();

  constructor(drafts: readonly Draft[], uses: Uses, peak: number, overwriters: ReadonlyMap<Node, Node>) {
    this.#drafts = drafts;
    this.#uses = uses;
    this.#peak = peak;
    this.#overwriters = overwriters;
  }

  /** The kernels without at least `wanted` bytes at the peak, or fewer if that can't be or takes more traffic; null if nothing is found. */
  giveUp(wanted: number, allowed: number): { readonly drafts: Draft[]; readonly traffic: number } | null {
    // Of equal sizes the one made last: it may come from the other, which has to be there for it.
    const candidates = this.#drafts
      .flatMap((draft, step) => (step < this.#peak && this.#isIdle(draft, step) ? [{ draft, step }] : []))
      .sort((a, b) => bytesOf(b.draft.root) - bytesOf(a.draft.root) || b.step - a.step);
    let [saved, traffic] = [0, 0];
    for (const { draft } of candidates) {
      if (saved >= wanted) break;
      if (traffic + trafficOf(draft) > allowed) continue;
      const bytes = this.#giveUp(draft);
      saved += bytes;
      if (bytes > 0) traffic += trafficOf(draft);
    }
    if (this.#givenUp.size === 0) return null;
    return { drafts: this.#drafts.flatMap((draft) => this.#withCopies(draft)), traffic };
  }

  /** Whether the value lives at the peak and isn't touched there. */
  #isIdle({ root, kernel }: Draft, step: number): boolean {
    const uses = this.#uses;
    if (kernel.reduction !== null || !uses.isTemporary(root) || uses.lastRead(root) <= this.#peak) return false;
    if (uses.readers.get(root)?.includes(this.#peak) === true || step === this.#peak) return false;
    return scalarsOf(kernel.value).every(({ kind }) => kind !== "threefry");
  }

  /** The bytes that are free at the peak if `draft` is computed again behind it; 0 if it can't be. */
  #giveUp(draft: Draft): number {
    const { root } = draft;
    const reading = this.#uses.readers.get(root) ?? [];
    const late = reading.filter((step) => step > this.#peak);
    const readers = [...late.map((step) => at(this.#drafts, step)), ...(this.#copiesReading.get(root) ?? [])];
    const first = readers.reduce<Draft | undefined>(
      (earliest, each) => (earliest === undefined || this.#place(each) < this.#place(earliest) ? each : earliest),
      undefined,
    );
    if (first === undefined) return 0;
    const kept = draft.kernel.sources.map((source) => this.#keeping(source, this.#place(first)));
    const cost = kept.reduce((sum, bytes) => sum + bytes, 0);
    if (cost > bytesOf(root) * smallShare) return 0;
    const copy: Draft = {
      root: makeNode(root.kind, root.inputs as never, root.attributes as never) as Node,
      kernel: draft.kernel,
    };
    for (const reader of readers) {
      const sources = reader.kernel.sources.map((source) => (source === root ? copy.root : source));
      reader.kernel = { ...reader.kernel, sources };
    }
    this.#before.set(first, [...(this.#before.get(first) ?? []), copy]);
    // Behind what was there, before the kernel that it is for.
    this.#placeOf.set(copy, this.#place(first) - 1e-6);
    for (const source of copy.kernel.sources) {
      this.#copiesReading.set(source, [...(this.#copiesReading.get(source) ?? []), copy]);
    }
    this.#givenUp.add(root);
    if (late.length === reading.length) this.#dropped.add(draft);
    return bytesOf(root) - cost;
  }

  /** What more is in use at the peak if a source is still to be read at `place`; Infinity if it can't be. */
  #keeping(source: Node, place: number): number {
    if (!this.#uses.isTemporary(source)) {
      const overwriter = this.#overwriters.get(source);
      const written = overwriter === undefined ? undefined : this.#uses.madeAt.get(overwriter);
      // An output may be copied to the caller, or be no kernel's result; then its place isn't known here.
      return written === undefined || written >= place ? 0 : Infinity;
    }
    if (this.#givenUp.has(source)) return Infinity;
    return this.#uses.lastRead(source) >= place || this.#copiesReading.has(source) ? 0 : bytesOf(source);
  }

  #place(draft: Draft): number {
    const known = this.#placeOf.get(draft);
    if (known !== undefined) return known;
    const step = this.#uses.madeAt.get(draft.root) ?? -1;
    this.#placeOf.set(draft, step);
    return step;
  }

  #withCopies(draft: Draft): Draft[] {
    const copies = (this.#before.get(draft) ?? []).flatMap((copy) => this.#withCopies(copy));
    return this.#dropped.has(draft) ? copies : [...copies, draft];
  }
}
