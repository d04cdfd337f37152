/** What finds the place of a fault: graphs that become smaller, nodes where devices part, plans that differ, programs in words. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compileFunction } from "node:vm";
import { transformSync } from "esbuild";
import fc from "fast-check";
import { evaluateGraph } from "../../engine/devices/oracle/evaluate.ts";
import { allocateData } from "../../engine/graph/dtype.ts";
import { topologicalOrder } from "../../engine/graph/graph.ts";
import { operationName } from "../../engine/graph/print.ts";
import * as engine from "../../engine/index.ts";
import {
  add,
  createDevice,
  exp,
  matmul,
  maximum,
  multiply,
  reduceSum,
  type Tensor,
  tensor,
  tanh,
} from "../../engine/index.ts";
import { programSpecs } from "../../testing/arbitraries/programs.ts";
import {
  accuracies,
  bisect,
  breaksBounds,
  float32,
  type GraphCase,
  graphCase,
  kernelDiff,
  minimise,
  type Mistakes,
  planGraph,
  programSource,
  ReferenceDevice,
} from "../../testing/index.ts";
import { caseOf } from "../../testing/laws/programLaw.ts";
import { resized } from "../../testing/search/resize.ts";

const valuesOf = ({ graph, inputs }: GraphCase): Float64Array[] =>
  evaluateGraph(
    graph,
    inputs.map((data) => Float64Array.from(data)),
  );

/** What a program's text computes, on the oracle. */
async function valuesOfSource(source: string): Promise<Float64Array[]> {
  const [, imported = ""] = /^import \{ (.*) \} from "evenkeel\/engine";$/m.exec(source) ?? [];
  const names = imported.split(", ").filter((name) => !name.startsWith("type "));
  const { code } = transformSync(source.replace(/^import .*$/m, ""), { loader: "ts" });
  const parameters = [...source.matchAll(/^const (x\d+) =/gm)].map(([, name = ""]) => name);
  const run = compileFunction(`${code}\nreturn { program, given: [${parameters.join(", ")}] };`, names) as (
    ...values: readonly unknown[]
  ) => { readonly program: (...given: Tensor[]) => readonly Tensor[]; readonly given: readonly Tensor[] };
  const { program, given } = run(...names.map((name) => Reflect.get(engine, name) as unknown));
  return valuesOf(await graphCase((...all: Tensor[]) => program(...all), ...given));
}

describe("programSource", () => {
  it("computes what the graph does", async () => {
    await fc.assert(
      fc.asyncProperty(programSpecs, async (spec) => {
        const drawn = caseOf(spec);
        const source = programSource(drawn);
        assert.deepEqual(await valuesOfSource(source), valuesOf(drawn), source);
      }),
      { numRuns: 150 },
    );
  });
});

describe("resized", () => {
  it("gives graphs that fit together, with the same operations", () => {
    let changed = 0;
    fc.assert(
      fc.property(
        programSpecs,
        fc.nat(99),
        fc.constantFrom("first" as const, "last" as const),
        (spec, choice, kept) => {
          const drawn = caseOf(spec);
          const sizes = [...new Set(topologicalOrder(drawn.graph.outputs).flatMap(({ shape }) => shape))];
          const from = sizes[choice % Math.max(1, sizes.length)] ?? 1;
          if (from < 2) return;
          const smaller = resized(drawn, from, Math.ceil(from / 2), kept);
          if (smaller === undefined) return;
          const wanted = smaller.graph.inputs.map(({ dtype, shape }) => [dtype, shape.reduce((a, b) => a * b, 1)]);
          assert.deepEqual(
            smaller.inputs.map((data) => [data.constructor, data.length]),
            wanted.map(([dtype, length]) => [allocateData(dtype as "f32", 0).constructor, length]),
          );
          const names = ({ graph }: GraphCase): string[] => topologicalOrder(graph.outputs).map(operationName);
          assert.deepEqual(names(smaller), names(drawn));
          valuesOf(smaller);
          changed++;
        },
      ),
      { numRuns: 200 },
    );
    assert.ok(changed > 60, `${changed} graphs changed`);
  });
});

/** A maximum that begins at 0. */
const beginsAtZero: Mistakes = {
  arithmetic: {
    binary: (op, dtype, x, y) => (op === "maximum" ? Math.max(0, x, y) : float32.binary(op, dtype, x, y)),
  },
};

const matrix = (rows: number, columns: number, f: (i: number) => number): Tensor =>
  tensor(
    Float32Array.from({ length: rows * columns }, (_, i) => f(i)),
    { shape: [rows, columns] },
  );

/** An operation among others. */
const layered = (): Promise<GraphCase> =>
  graphCase(
    (x: Tensor, w: Tensor, y: Tensor) => {
      const hidden = tanh(matmul(x, w));
      return { kept: reduceSum(hidden), out: add(multiply(exp(hidden), 2), maximum(multiply(y, 3), hidden)) };
    },
    matrix(6, 6, Math.sin),
    matrix(6, 6, Math.cos),
    matrix(6, 6, (i) => 3 - i),
  );

describe("minimise", () => {
  it("leaves one operation on single elements of a fault among others", async () => {
    const device = new ReferenceDevice("arena", beginsAtZero);
    const fails = (each: GraphCase): Promise<boolean> => breaksBounds(device, each, accuracies.wasm);
    const smallest = await minimise(await layered(), fails);
    assert.ok(await fails(smallest));
    const kinds = topologicalOrder(smallest.graph.outputs).map(operationName);
    assert.deepEqual(
      kinds.filter((kind) => kind !== "input" && kind !== "literal"),
      ["maximum"],
    );
    assert.ok(smallest.inputs.every((data) => data.length === 1));
    assert.match(programSource(smallest), /tensor\(\[-\d/);
    device.dispose();
  });

  it("asks only about graphs that fit together, and goes no further than it is told", async () => {
    let asked = 0;
    const has =
      (name: string) =>
      ({ graph }: GraphCase): boolean => {
        asked++;
        return topologicalOrder(graph.outputs).some((node) => operationName(node) === name);
      };
    const smallest = await minimise(await layered(), has("tanh"));
    assert.deepEqual(topologicalOrder(smallest.graph.outputs).map(operationName), ["input", "tanh"]);
    assert.deepEqual(smallest.inputs, [Float32Array.of(0)]);
    asked = 0;
    await minimise(await layered(), has("tanh"), { attempts: 5 });
    assert.equal(asked, 6);
    await assert.rejects(
      minimise(await layered(), () => false),
      { code: "value" },
    );
  });
});

describe("bisect", () => {
  it("names the first operation about which two devices differ, wherever the fault shows", async () => {
    const [right, wrong] = [new ReferenceDevice("arena"), new ReferenceDevice("arena", beginsAtZero)];
    const found = await bisect(await layered(), right, wrong);
    assert.equal(found && operationName(found.node), "maximum");
    assert.ok(found !== undefined && found.differsAlone && found.values[0] < 0 && found.values[1] === 0);
    assert.match(found.text, /maximum f32 \[6, 6\], element \d+: .*\n.*alone[^]*const program/);
    assert.equal(await bisect(await layered(), right, right), undefined);
  });

  it("finds nothing between devices that are right, and a mistake that needs what is fused with it", async () => {
    const wasm = await createDevice("wasm", { wasm: { threads: 1 } });
    const right = new ReferenceDevice("slots");
    const finite = await graphCase(
      (x: Tensor) => tanh(add(exp(x), 1)),
      matrix(3, 5, (i) => i / 7),
    );
    assert.equal(await bisect(finite, wasm, right), undefined);
    // Wrong only where a kernel does two things.
    const fused = new ReferenceDevice("slots", {
      kernel: (kernel) => {
        const [{ value }] = kernel.stores;
        const isFused = value.kind === "unary" && value.op === "tanh" && value.x.kind !== "load";
        return isFused ? { ...kernel, stores: [{ ...kernel.stores[0], value: value.x }] } : kernel;
      },
    });
    const found = await bisect(finite, wasm, fused);
    assert.equal(found && operationName(found.node), "tanh");
    assert.equal(found?.differsAlone, false);
    assert.match(found.text, /agree about the same operation alone/);
    wasm.dispose();
  });
});

describe("kernelDiff", () => {
  it("says what is the same and what differs, in words", async () => {
    const device = new ReferenceDevice("arena");
    const plan = async (fn: (x: Tensor, w: Tensor) => Tensor): Promise<Parameters<typeof kernelDiff>[0]> => {
      const { graph } = await graphCase(fn, matrix(4, 6, Math.sin), matrix(6, 5, Math.cos));
      return planGraph(graph, device);
    };
    const first = await plan((x, w) => reduceSum(exp(tanh(matmul(x, w))), { axes: 1 }));
    const same = kernelDiff(first, await plan((x, w) => reduceSum(exp(tanh(matmul(x, w))), { axes: 1 })));
    assert.deepEqual([same.same, same.changed, same.onlyA, same.onlyB], [first.steps.length, [], [], []]);
    const { changed, onlyA, onlyB, text } = kernelDiff(
      first,
      await plan((x, w) => reduceSum(multiply(exp(matmul(x, w)), 3), { axes: 1 })),
    );
    assert.ok(changed.length + onlyA.length + onlyB.length > 0);
    assert.match(text, /tanh 1 -> 0 times/);
    assert.match(text, /^\d+ and \d+ kernels, \d+ of them the same/);
  });
});
