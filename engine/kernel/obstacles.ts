/** What a walk through a kernel may throw: it can't go on, and what would help. */
import type { Node } from "../graph/node.ts";
import type { AxisSymbol } from "./indexing.ts";

/** The kernel can't contain `node`. */
export class CannotFuse extends Error {
  readonly node: Node;
  constructor(node: Node) {
    super(`${node.kind} ${node.id} can't be part of this kernel`);
    this.node = node;
  }
}

/** Start again with this axis in two parts. */
export class SplitAxis extends Error {
  readonly axis: AxisSymbol;
  readonly inner: number;
  constructor(axis: AxisSymbol, inner: number) {
    super(`axis ${axis.position} must be split`);
    this.axis = axis;
    this.inner = inner;
  }
}
