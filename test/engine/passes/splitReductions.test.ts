import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { Node } from "../../../engine/graph/node.ts";
import type { Shape } from "../../../engine/graph/shape.ts";
import { splitReductions } from "../../../engine/passes/splitReductions.ts";

/** What is summed over in each reduction of the result, and the padding before it. */
function stages(shape: Shape, axes: readonly number[], op: "sum" | "max" = "sum"): readonly string[] {
  const x = makeNode("input", [], { dtype: "f32", shape, name: "x" });
  const before = makeNode("reduce", [x], { op, axes });
  const { outputs } = splitReductions({ inputs: [x], outputs: [before] });
  const [output] = outputs;
  assert.ok(output !== undefined);
  assert.deepEqual(output.shape, before.shape);
  return topologicalOrder(outputs).flatMap((node: Node): string[] => {
    if (node.kind === "pad") return [`pad ${node.attributes.value} to [${node.shape.join()}]`];
    if (node.kind !== "reduce") return [];
    const [from] = node.inputs;
    return [`${node.attributes.op} [${from.shape.join()}] over ${node.attributes.axes.join()}`];
  });
}

describe("splitReductions", () => {
  it("leaves short ones, ones with many results and ones with none", () => {
    assert.deepEqual(stages([4095], [0]), ["sum [4095] over 0"]);
    assert.deepEqual(stages([257, 4096], [1]), ["sum [257,4096] over 1"]);
    assert.deepEqual(stages([0, 4096], [1]), ["sum [0,4096] over 1"]);
  });

  it("cuts a long axis into chunks of 1,024", () => {
    assert.deepEqual(stages([4096], [0]), ["sum [4,1024] over 1", "sum [4,1] over 0"]);
    assert.deepEqual(stages([256, 4096], [1]), ["sum [256,4,1024] over 2", "sum [256,4,1] over 1"]);
    assert.deepEqual(stages([2 ** 23], [0]), ["sum [8192,1024] over 1", "sum [8192,1] over 0"]);
    assert.deepEqual(stages([8192, 3], [0]), ["sum [8,1024,3] over 1", "sum [8,1,3] over 0"]);
    assert.deepEqual(stages([2, 64, 64, 3], [1, 2]), ["sum [2,4,1024,3] over 2", "sum [2,4,1,3] over 1"]);
  });

  it("fills the last chunk with what changes nothing", () => {
    assert.deepEqual(stages([4097], [0]), ["pad 0 to [5120]", "sum [5,1024] over 1", "sum [5,1] over 0"]);
    assert.deepEqual(stages([4097], [0], "max"), [
      "pad -Infinity to [5120]",
      "max [5,1024] over 1",
      "max [5,1] over 0",
    ]);
  });

  it("reads a few rows of a large matrix side by side, and what is left of it again", () => {
    assert.deepEqual(stages([512, 2048], [0]), ["sum [64,8,2048] over 1", "sum [64,1,2048] over 0"]);
    assert.deepEqual(stages([1021, 1031], [0], "max"), [
      "pad -Infinity to [1024,1031]",
      "max [128,8,1031] over 1",
      "max [128,1,1031] over 0",
    ]);
    assert.deepEqual(stages([4096, 4096], [0]), [
      "sum [512,8,4096] over 1",
      "sum [64,8,1,4096] over 1",
      "sum [64,1,1,4096] over 0",
    ]);
    assert.deepEqual(stages([3, 32, 32, 32, 32], [1, 2]), ["sum [3,128,8,32,32] over 2", "sum [3,128,1,32,32] over 1"]);
    // Rows within a page, few of them, or all in a core's cache.
    assert.deepEqual(stages([8192, 512], [0]), ["sum [8192,512] over 0"]);
    assert.deepEqual(stages([63, 65_536], [0]), ["sum [63,65536] over 0"]);
    assert.deepEqual(stages([512, 1024], [0]), ["sum [512,1024] over 0"]);
  });

  it("reduces axes apart from each other one after the other, the inner ones first", () => {
    assert.deepEqual(stages([64, 3, 64], [0, 2]), ["sum [64,3,64] over 2", "sum [64,3,1] over 0"]);
    assert.deepEqual(stages([2, 3, 8192], [0, 2]), [
      "sum [2,3,8,1024] over 3",
      "sum [2,3,8,1] over 2",
      "sum [2,3,1] over 0",
    ]);
  });
});
