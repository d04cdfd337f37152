/** Brings the new values of state to where they can be computed first. */
import type { Graph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { at } from "../graph/shape.ts";
import { storageOf } from "../kernel/views.ts";
import type { Donation } from "./aliasOutputs.ts";
import type { FusedKernel } from "./fuse.ts";

/**
 * Moves each element-wise kernel that makes a donated output right behind the last of what it reads, and of what reads the input
 * whose memory it takes: what it reads may go earlier, and neighbours over the same array can be computed together.
 * @param kernels in an order of computation
 */
export function updateEarly(
  kernels: readonly FusedKernel[],
  graph: Graph,
  donations: readonly Donation[],
): readonly FusedKernel[] {
  const replaced = new Map<Node, Node>();
  for (const { input, output } of donations) {
    replaced.set(storageOf(at(graph.outputs, output)), at(graph.inputs, input));
  }
  // Of the replaced inputs: there may be as many as kernels, so kernels are walked once for all of them.
  const readers = new Map<Node, number[]>([...replaced.values()].map((input) => [input, []]));
  kernels.forEach(({ kernel }, index) => kernel.sources.forEach((source) => readers.get(source)?.push(index)));
  const indexOf = new Map(kernels.map(({ root }, index) => [root, index]));
  // The kernel that each stays behind: itself, or the last one that a moved kernel waits for.
  const anchors: number[] = [];
  kernels.forEach(({ root, kernel }, index) => {
    const input = replaced.get(root);
    if (input === undefined || kernel.reduction !== null) {
      anchors.push(index);
      return;
    }
    const before = [
      ...kernel.sources.flatMap((source) => indexOf.get(source) ?? []),
      ...(readers.get(input) ?? []).filter((reader) => reader !== index),
    ];
    const isFree = before.length > 0 && before.every((other) => other < index);
    anchors.push(isFree ? Math.max(...before.map((other) => at(anchors, other))) : index);
  });
  // What a kernel waits for has an earlier anchor, or the same and an earlier place, which sorting keeps.
  return kernels
    .map((kernel, index) => ({ kernel, anchor: at(anchors, index) }))
    .sort((a, b) => a.anchor - b.anchor)
    .map(({ kernel }) => kernel);
}
