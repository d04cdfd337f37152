/** Names and memory that the texts of kernels are given. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at } from "../../../../engine/graph/shape.ts";
import { WgslWriter } from "../../../../engine/devices/gpujs/wgsl/writer.ts";

describe("a kernel's writer", () => {
  it("gives every name once, and none that is a type of WGSL", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("i", "u", "f", "v"), { minLength: 40, maxLength: 80 }), (prefixes) => {
        const writer = new WgslWriter();
        const names = prefixes.map((prefix) => writer.fresh(prefix));
        assert.equal(new Set(names).size, names.length);
        for (const type of ["i32", "u32", "f32", "f16"]) assert.ok(!names.includes(type), type);
      }),
      { examples: [[Array.from({ length: 40 }, () => "i")]] },
    );
  });

  it("shares arrays that are free, each with one user at a time and as long as any of them wants", () => {
    const wanted = fc.array(fc.tuple(fc.constantFrom("f32", "vec4f"), fc.integer({ min: 1, max: 64 })), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.array(wanted, { maxLength: 5 }), (turns) => {
        const writer = new WgslWriter();
        const given = turns.map((turn) => {
          writer.freeShared();
          return turn.map(([type, length]) => ({ name: writer.shared(type, length), type, length }));
        });
        const declared = new Map(
          writer.workgroup.map((text) => {
            const [, name = "", type = "", length = ""] =
              /^var<workgroup> (\w+): array<(\w+), (\d+)>;$/.exec(text) ?? [];
            return [name, { type, length: Number(length) }];
          }),
        );
        for (const turn of given) {
          assert.equal(new Set(turn.map(({ name }) => name)).size, turn.length);
          for (const { name, type, length } of turn) {
            const array = declared.get(name);
            assert.ok(array?.type === type && array.length >= length);
          }
        }
        for (const type of ["f32", "vec4f"]) {
          const counts = given.map((turn) => turn.filter((array) => array.type === type).length);
          const all = [...declared.values()].filter((array) => array.type === type);
          assert.equal(all.length, Math.max(0, ...counts));
        }
        assert.equal(declared.size, writer.workgroup.length);
      }),
    );
    const writer = new WgslWriter();
    const [short, long] = [writer.shared("f32", 4), writer.shared("f32", 9)];
    writer.freeShared();
    assert.deepEqual([writer.shared("f32", 3), writer.shared("f32", 8)], [short, long]);
    assert.match(at(writer.workgroup, 0), /, 4>;$/);
  });
});
