import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeviceBuffer } from "../../../../engine/devices/device.ts";
import { createOracleDevice } from "../../../../engine/devices/oracle/oracleDevice.ts";
import { EvenkeelError } from "../../../../engine/errors.ts";
import { type Graph, makeNode } from "../../../../engine/graph/graph.ts";
import { add, divide, reduceSum, Tensor } from "../../../../engine/index.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

const coded = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof EvenkeelError, String(error));
  assert.deepEqual([error.code, message.test(error.message)], [code, true], error.message);
  return true;
};

/** x / 3 + x and its sum, of three numbers. */
function thirds(): Graph {
  const x = makeNode("input", [], { dtype: "f32", shape: [3], name: "x" });
  const y = add(divide(new Tensor(x), 3), new Tensor(x));
  return { inputs: [x], outputs: [y.node, reduceSum(y).node] };
}

describe("the oracle device", () => {
  it("interprets the graph, keeps float64 between runs and rounds when downloading", async () => {
    const device = createOracleDevice();
    const [x, y, total] = [device.allocate("f32", 3), device.allocate("f32", 3), device.allocate("f32", 1)];
    device.upload(x, Float32Array.of(1, 2, 3));
    const program = await device.interpret(thirds());
    assert.deepEqual(await program.run([x], [y, total]), []);
    assert.deepEqual([...device.downloadFloat64(y)], [1 / 3 + 1, 2 / 3 + 2, 4]);
    assert.deepEqual(await downloaded(device, y), Float32Array.of(1 / 3 + 1, 2 / 3 + 2, 4));
    await program.run([y], [x, total]);
    assert.equal(device.downloadFloat64(x)[0], (1 / 3 + 1) / 3 + (1 / 3 + 1));
    assert.deepEqual([program.sources(), program.bytes], [[], 0]);
    device.dispose();
  });

  it("tells the time of each operation", async () => {
    const device = createOracleDevice();
    const buffers = [device.allocate("f32", 3), device.allocate("f32", 1)];
    const program = await device.interpret(thirds());
    const times = await program.run([device.allocate("f32", 3)], buffers, { profile: true });
    const names = times.map(({ name }) => name);
    for (const name of ["add", "divide", "sum", "literal"]) assert.ok(names.includes(name), names.join(" "));
    assert.ok(times.every(({ milliseconds }) => milliseconds >= 0));
    device.dispose();
  });

  it("converts every dtype and counts its memory", async () => {
    const device = createOracleDevice();
    const values = [Float32Array.of(0.1), Int32Array.of(-7), Uint32Array.of(4e9), Uint8Array.of(1)];
    const buffers = (["f32", "i32", "u32", "bool"] as const).map((dtype) => device.allocate(dtype, 1));
    for (const [i, buffer] of buffers.entries()) {
      const data = values[i] ?? new Float32Array();
      device.upload(buffer, data);
      assert.deepEqual(await downloaded(device, buffer), data);
    }
    assert.deepEqual(device.memory(), { bytes: 32, buffers: 4 });
    const [first] = buffers;
    assert.ok(first);
    device.free(first);
    assert.throws(() => device.free(first), coded("disposed", /freed/));
    assert.deepEqual(device.memory(), { bytes: 24, buffers: 3 });
    await assert.rejects(downloaded(device, first), coded("disposed", /freed/));
    device.dispose();
    assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
  });

  it("refuses foreign buffers, too much memory, and work after its end", async () => {
    const device = createOracleDevice();
    const foreign: DeviceBuffer = { dtype: "f32", length: 1 };
    assert.throws(() => device.upload(foreign, Float32Array.of(1)), coded("device", /another device/));
    await assert.rejects(downloaded(device, foreign), coded("device", /another device/));
    assert.throws(
      () => device.allocate("f32", 2 ** 50),
      coded("memory", /1125899906842624 f32 elements \(9007199254740992 bytes\)/),
    );
    const program = await device.interpret(thirds());
    program.dispose();
    await assert.rejects(program.run([], []), coded("disposed", /program/));
    const buffer = device.allocate("f32", 1);
    device.dispose();
    device.dispose();
    assert.throws(() => device.allocate("f32", 1), coded("disposed", /disposed/));
    await assert.rejects(downloaded(device, buffer), coded("disposed", /disposed/));
    await assert.rejects(device.interpret(thirds()), coded("disposed", /disposed/));
  });
});
