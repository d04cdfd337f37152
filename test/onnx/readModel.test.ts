/** What is written byte by byte is read back: integers of any length, tensors in every form, nested graphs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../engine/index.ts";
import { encodeBfloat16, encodeFloat16 } from "../../engine/io/index.ts";
import { readModel } from "../../onnx/format/readModel.ts";
import { readTensor } from "../../onnx/format/readTensor.ts";
import { fieldsOf, type Message, readVarint } from "../../onnx/format/wire.ts";
import type { ElementType } from "../../onnx/format/elementTypes.ts";
import { type GraphSpec, tensorMessage, type TensorSpec } from "../../onnx/format/writeModel.ts";
import { bytesField, floatField, integerField, joined, textField, varint } from "../../onnx/format/writeWire.ts";
import { modelFile, stored, type TensorContent, tensorSpec } from "./writeModel.ts";

const message = (bytes: Uint8Array): Message => ({ bytes, place: "test", depth: 0 });
const isFileError = (error: unknown): boolean => error instanceof EvenkeelError && error.code === "file";

describe("the wire format", () => {
  it("gives signed integers of 64 bits back", () => {
    fc.assert(
      fc.property(fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.maxSafeInteger().map(BigInt)), (value) => {
        const bytes = varint(value);
        const read = readVarint(message(bytes), 0);
        assert.deepEqual(read, { value: Number(value), end: bytes.length });
      }),
    );
  });

  it("gives fields back in their order, unknown ones too", () => {
    const field = fc.oneof(
      fc.record({ number: fc.integer({ min: 1, max: 2 ** 29 - 1 }), value: fc.maxSafeInteger() }).map((of) => ({
        bytes: integerField(of.number, of.value),
        read: { encoding: "varint", ...of },
      })),
      fc.record({ number: fc.integer({ min: 1, max: 99 }), bytes: fc.uint8Array({ maxLength: 300 }) }).map((of) => ({
        bytes: bytesField(of.number, of.bytes),
        read: { encoding: "bytes", ...of },
      })),
      fc.integer({ min: 1, max: 99 }).map((number) => ({
        bytes: floatField(number, 1),
        read: { encoding: "fixed32", number, bytes: Uint8Array.of(0, 0, 128, 63) },
      })),
    );
    fc.assert(
      fc.property(fc.array(field, { maxLength: 8 }), (fields) => {
        const read = [...fieldsOf(message(joined(fields.map(({ bytes }) => bytes))))];
        assert.deepEqual(
          read.map((each) => ("bytes" in each ? { ...each, bytes: new Uint8Array(each.bytes) } : each)),
          fields.map((each) => each.read),
        );
      }),
    );
  });

  it("refuses what ends within a field", () => {
    const whole = joined([integerField(3, 300), textField(1, "abc"), floatField(2, 1)]);
    for (let length = 1; length < whole.length; length++) {
      const fieldEnds = [3, 8];
      const read = (): unknown => [...fieldsOf(message(whole.subarray(0, length)))];
      if (fieldEnds.includes(length)) read();
      else assert.throws(read, isFileError);
    }
  });
});

/** Values of a type, and the ways in which a file may hold them. */
function contentsOf(
  type: ElementType,
): fc.Arbitrary<{ readonly values: number[]; readonly contents: TensorContent[] }> {
  const list = (one: fc.Arbitrary<number>): fc.Arbitrary<number[]> => fc.array(one, { maxLength: 6 });
  const raw = (array: ArrayBufferView<ArrayBuffer>): Uint8Array =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const inField =
    (
      field: 5 | 7 | 11,
      toRaw: (values: number[]) => ArrayBufferView<ArrayBuffer>,
      toField = (values: number[]): readonly (number | bigint)[] => values,
    ) =>
    (values: number[]) => ({
      values,
      contents: [
        { raw: raw(toRaw(values)) },
        { field, integers: toField(values), isPacked: true },
        { field, integers: toField(values), isPacked: false },
      ] as TensorContent[],
    });
  const whole = (min: number, max: number): fc.Arbitrary<number[]> => list(fc.integer({ min, max }));
  switch (type) {
    case "f32":
      return list(fc.float()).map((values) => ({
        values,
        contents: [{ raw: raw(Float32Array.from(values)) }, { floats: values }],
      }));
    case "f64":
      return list(fc.double()).map((values) => ({
        values,
        contents: [{ raw: raw(Float64Array.from(values)) }, { doubles: values }],
      }));
    case "f16":
      return list(fc.integer({ min: -100, max: 100 }).map((value) => value / 8)).map(
        inField(
          5,
          (values) => encodeFloat16(Float32Array.from(values)),
          (values) => [...encodeFloat16(Float32Array.from(values))],
        ),
      );
    case "bf16":
      return list(fc.integer({ min: -100, max: 100 }).map((value) => value / 8)).map(
        inField(
          5,
          (values) => encodeBfloat16(Float32Array.from(values)),
          (values) => [...encodeBfloat16(Float32Array.from(values))],
        ),
      );
    case "i8":
      return whole(-128, 127).map(inField(5, (values) => Int8Array.from(values)));
    case "i16":
      return whole(-32768, 32767).map(inField(5, (values) => Int16Array.from(values)));
    case "i32":
      return whole(-(2 ** 31), 2 ** 31 - 1).map(inField(5, (values) => Int32Array.from(values)));
    case "u8":
      return whole(0, 255).map(inField(5, (values) => Uint8Array.from(values)));
    case "bool":
      return whole(0, 1).map(inField(5, (values) => Uint8Array.from(values)));
    case "u16":
      return whole(0, 65535).map(inField(5, (values) => Uint16Array.from(values)));
    case "u32":
      return whole(0, 2 ** 32 - 1).map(inField(11, (values) => Uint32Array.from(values)));
    case "i64":
      return list(fc.maxSafeInteger()).map(inField(7, (values) => BigInt64Array.from(values, BigInt)));
    case "u64":
      return list(fc.maxSafeNat()).map(inField(11, (values) => BigUint64Array.from(values, BigInt)));
    case "string":
      return fc.constant({ values: [], contents: [{ texts: [] }] });
  }
}

const numericTypes: readonly ElementType[] = [
  "f32",
  "f64",
  "f16",
  "bf16",
  "i8",
  "i16",
  "i32",
  "i64",
  "u8",
  "u16",
  "u32",
  "u64",
  "bool",
];

describe("tensors of files", () => {
  for (const type of numericTypes) {
    it(`are read in every form: ${type}`, () => {
      fc.assert(
        fc.property(contentsOf(type), fc.nat({ max: 7 }), ({ values, contents }, offset) => {
          for (const content of contents) {
            const bytes = joined(tensorMessage(tensorSpec("x", type, [values.length, 1], content)));
            // Raw elements need not lie at a multiple of their size.
            const moved = joined([new Uint8Array(offset), bytes]).subarray(offset);
            const tensor = readTensor(message(moved), new Map());
            assert.deepEqual([tensor.name, tensor.type, tensor.shape], ["x", type, [values.length, 1]]);
            assert.deepEqual(Array.from(tensor.data as ArrayLike<number>), values);
          }
        }),
        { numRuns: 30 },
      );
    });
  }

  it("may lie in other files", () => {
    const external = { location: "weights.bin", offset: "4", length: "8" };
    const bytes = joined(tensorMessage(tensorSpec("x", "f32", [2], { external })));
    const file = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    assert.deepEqual(readTensor(message(bytes), new Map([["weights.bin", file]])).data, Float32Array.of(2, 3));
    assert.throws(() => readTensor(message(bytes), new Map()), /weights\.bin.*externalData/);
    assert.throws(() => readTensor(message(bytes), new Map([["weights.bin", file.subarray(0, 8)]])), isFileError);
  });

  it("are refused if their elements don't fill their shape or aren't of their type", () => {
    const wrong = (spec: Partial<TensorSpec>): Uint8Array =>
      joined(tensorMessage({ ...tensorSpec("x", "f32", [2], { floats: [1, 2] }), ...spec }));
    readTensor(message(wrong({})), new Map());
    for (const bytes of [
      wrong({ shape: [3] }),
      wrong({ shape: [2 ** 40, 2 ** 40] }),
      wrong({ elements: stored({ raw: new Uint8Array(7) }) }),
      wrong({ type: "u8", elements: stored({ field: 5, integers: [1, 256], isPacked: true }) }),
      wrong({ type: "bool", elements: stored({ raw: Uint8Array.of(1, 2) }) }),
      wrong({ type: "string", elements: stored({ raw: Uint8Array.of(1, 2) }) }),
    ]) {
      assert.throws(() => readTensor(message(bytes), new Map()), isFileError);
    }
  });
});

const inner: GraphSpec = {
  nodes: [{ operator: "Neg", inputs: ["x"], outputs: ["y"] }],
  inputs: [],
  outputs: [{ name: "y", type: "f32", shape: [] }],
};

describe("models of files", () => {
  it("are read with their nodes, attributes and graphs within these", () => {
    const graph: GraphSpec = {
      nodes: [
        {
          name: "n",
          operator: "Any",
          domain: "some",
          inputs: ["a", "", "b"],
          outputs: ["c"],
          attributes: {
            i: { int: -3 },
            f: { float: 0.5 },
            s: { text: "mode" },
            is: { ints: [1, -2] },
            fs: { floats: [0.25] },
            ss: { texts: ["p", "q"] },
            none: { ints: [] },
            t: { tensor: tensorSpec("", "i64", [1], { field: 7, integers: [9], isPacked: true }) },
            g: { graph: inner },
          },
        },
      ],
      inputs: [{ name: "a", type: "f32", shape: ["batch", 3] }],
      outputs: [{ name: "c", type: "i64", shape: [] }],
    };
    const model = readModel(modelFile(graph, 13), "file", new Map());
    assert.equal(model.producer, "test");
    assert.deepEqual([...model.opsets], [["", 13]]);
    const [node] = model.graph.nodes;
    assert.deepEqual(
      [node?.operator, node?.domain, node?.inputs, node?.outputs],
      ["Any", "some", ["a", "", "b"], ["c"]],
    );
    const attributes = Object.fromEntries([...(node?.attributes ?? [])].map(([name, { value }]) => [name, value]));
    assert.deepEqual(
      { ...attributes, t: undefined, g: undefined },
      { i: -3, f: 0.5, s: "mode", is: [1, -2], fs: [0.25], ss: ["p", "q"], none: [], t: undefined, g: undefined },
    );
    const within = node?.attributes.get("g");
    assert.ok(within?.kind === "graph" && within.value.nodes[0]?.operator === "Neg");
    assert.deepEqual(model.graph.inputs, [
      { name: "a", type: "f32", what: "a tensor of number 1", shape: ["batch", 3], isSequence: false },
    ]);
  });

  it("are refused if graphs are nested without end, or if there is none", () => {
    let graph = inner;
    for (let depth = 0; depth < 60; depth++) {
      graph = { ...inner, nodes: [{ operator: "If", inputs: [], outputs: [], attributes: { g: { graph } } }] };
    }
    assert.throws(() => readModel(modelFile(graph), "file", new Map()), /nested more than/);
    assert.throws(() => readModel(new Uint8Array(), "file", new Map()), /has no graph/);
  });
});
