/**
 * Lowers one materialised node (a root) to a kernel. What can't be part of the kernel is named, so that the caller
 * materialises it.
 */
import type { Node } from "../graph/node.ts";
import type { AxisSymbol } from "./indexing.ts";
import { type AxisCuts, KernelWalk, type LoweredKernel } from "./kernelWalk.ts";
import { CannotFuse, SplitAxis } from "./obstacles.ts";

export type LoweringResult =
  /** What is in `stored` must be materialised, too: the kernel reads it. */
  | { readonly kind: "kernel"; readonly kernel: LoweredKernel; readonly stored: readonly Node[] }
  /** This node must be materialised first. */
  | { readonly kind: "materialize"; readonly node: Node };

/**
 * @param isMaterialized whether a node (not a reshape) has memory of its own
 */
export function lowerKernel(root: Node, isMaterialized: (node: Node) => boolean): LoweringResult {
  const whole = root.shape.map((size) => [size]);
  let cuts: AxisCuts = { parallel: whole, reduce: [] };
  let maySplit = true;
  for (;;) {
    const walk = new KernelWalk(root, isMaterialized, cuts, maySplit);
    try {
      const kernel = walk.lower();
      return { kind: "kernel", kernel, stored: walk.stored };
    } catch (reason) {
      if (reason instanceof SplitAxis) cuts = splitCuts(walk, reason);
      else if (!(reason instanceof CannotFuse)) throw reason;
      else if (reason.node !== root) return { kind: "materialize", node: reason.node };
      else if (maySplit) {
        // The root itself needs its axes whole (a border runs along one): give up splitting instead.
        maySplit = false;
        cuts = { parallel: whole, reduce: [] };
      } else throw new Error(`no kernel for ${root.kind} ${root.id}`, { cause: reason });
    }
  }
}

function splitCuts(walk: KernelWalk, { axis, inner }: SplitAxis): AxisCuts {
  const cut = (groups: readonly (readonly AxisSymbol[])[]): number[][] =>
    groups.map((symbols) =>
      symbols.flatMap((symbol) => (symbol === axis ? [symbol.size / inner, inner] : [symbol.size])),
    );
  return { parallel: cut(walk.parallel), reduce: cut(walk.reduce) };
}
