/**
 * Splits long reductions into stages: several axes apart from each other are reduced innermost first, a long axis with
 * few results in chunks of fixed length, and columns of a large matrix a few rows at a time, which are read side by side. That gives
 * every device enough parallel work, keeps float32 sums accurate and memory close; since the split depends on shapes only, results don't
 * depend on the number of threads.
 */
import { type Graph, makeNode, rewriteGraph } from "../graph/graph.ts";
import type { Node, NodeOf } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { neutralElement } from "../graph/neutralElement.ts";

/** Reductions shorter than this stay whole. */
const longReduction = 4096;
/** With more results than this there is parallel work enough. */
const fewResults = 256;
const longChunk = 1024;
/** Rows that are as long as this lie on pages of memory of their own: a column of many of them misses every cache at each. */
const longRow = 1024;
/** Fewer pages than these are at hand all the time. */
const manyRows = 64;
/** No core's own cache holds so many numbers. */
const largeMatrix = 2 ** 20;
/** As many streams as memory is read in at full speed. */
const rowsAtOnce = 8;

export function splitReductions(graph: Graph): Graph {
  return rewriteGraph(graph, (node) => (node.kind === "reduce" ? splitReduction(node) : node));
}

function splitReduction(node: NodeOf<"reduce">): Node {
  const [x] = node.inputs;
  const { op, axes } = node.attributes;
  const length = sizeOf(axes.map((axis) => at(x.shape, axis)));
  const results = sizeOf(node.shape);
  const runStart = axes.findLastIndex((axis, i) => i === 0 || at(axes, i - 1) !== axis - 1);
  const isLong = length >= longReduction && results <= fewResults && results > 0;
  const isOfColumns = runStart === 0 && hasDistantRows(length, sizeOf(x.shape.slice(at(axes, axes.length - 1) + 1)));
  if (!isLong && !isOfColumns) return node;
  const [outer, inner] = [axes.slice(0, runStart), axes.slice(runStart)];
  if (outer.length > 0) {
    const first = splitReduction(makeNode("reduce", [x], { op, axes: inner }));
    return splitReduction(makeNode("reduce", [first], { op, axes: outer }));
  }
  const [before, after] = [x.shape.slice(0, at(inner, 0)), x.shape.slice(at(inner, inner.length - 1) + 1)];
  const axis = before.length;
  const chunkLength = isOfColumns ? rowsAtOnce : longChunk;
  const chunks = Math.ceil(length / chunkLength);
  const flat = makeNode("reshape", [x], { shape: [...before, length, ...after] });
  const missing = chunks * chunkLength - length;
  const none = flat.shape.map(() => 0);
  const filled =
    missing === 0
      ? flat
      : makeNode("pad", [flat], {
          low: none,
          high: none.map((_, i) => (i === axis ? missing : 0)),
          value: neutralElement(op, node.dtype),
        });
  const chunked = makeNode("reshape", [filled], { shape: [...before, chunks, chunkLength, ...after] });
  const partial = makeNode("reduce", [chunked], { op, axes: [axis + 1] });
  const rest = makeNode("reduce", [partial], { op, axes: [axis] });
  // What is left of columns may be a large matrix again.
  const total = isOfColumns ? splitReduction(rest) : rest;
  return makeNode("reshape", [total], { shape: node.shape });
}

/** Whether `rows` of `rowLength` numbers each are so far apart that going down their columns would wait for memory. */
function hasDistantRows(rows: number, rowLength: number): boolean {
  return rows >= manyRows && rowLength >= longRow && rows * rowLength >= largeMatrix;
}
