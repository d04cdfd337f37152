import assert from "node:assert/strict";
import { describe, test } from "node:test";
import wabt from "wabt";
import {
  f32,
  i32,
  i64,
  type Instruction,
  memory,
  op,
  shuffle32,
} from "../../../../engine/devices/wasm/assembler/instructions.ts";
import type { FunctionBuilder, Label } from "../../../../engine/devices/wasm/assembler/functionBuilder.ts";
import { ModuleBuilder } from "../../../../engine/devices/wasm/assembler/moduleBuilder.ts";
import {
  laneOpcodes,
  memoryLaneOpcodes,
  memoryOpcodes,
  plainOpcodes,
} from "../../../../engine/devices/wasm/assembler/opcodes.ts";
import { moduleText } from "../../../../engine/devices/wasm/assembler/text.ts";
import { webAssembly } from "../../../../engine/devices/wasm/runtime/webAssembly.ts";
import { emitBinary, emitThreefry } from "../../../../engine/devices/wasm/math/binary.ts";
import { emitUnary } from "../../../../engine/devices/wasm/math/unary.ts";
import { unaryOps } from "../../../../engine/graph/node.ts";

const features = { simd: true, threads: true, relaxed_simd: true, multi_value: true, bulk_memory: true };

/** An independent assembler makes the same bytes from our text, and an independent validator accepts them. */
async function assertSameAsWabt(module: ModuleBuilder): Promise<void> {
  const tools = await wabt();
  const text = moduleText(module);
  const parsed = tools.parseWat("module.wat", text, features);
  const theirs = parsed.toBinary({}).buffer;
  const ours = module.encode();
  assert.equal(Buffer.from(ours).toString("hex"), Buffer.from(theirs).toString("hex"), text);
  const read = tools.readWasm(ours, { readDebugNames: false, ...features });
  // Its types forget that validate takes the features, too.
  (read as unknown as { validate(options: typeof features): void }).validate(features);
  read.destroy();
  parsed.destroy();
}

function newModule(): ModuleBuilder {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 65536, shared: true });
  return module;
}

function instantiate(module: ModuleBuilder, imports: Record<string, unknown> = {}) {
  const memory = new webAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const instance = new webAssembly.Instance(new webAssembly.Module(module.encode()), { env: { memory, ...imports } });
  const run = (name: string, ...args: number[]): unknown => {
    const exported = instance.exports[name];
    if (typeof exported !== "function") throw new Error(`no export ${name}`);
    return Reflect.apply(exported, undefined, args);
  };
  return { run, memory };
}

/** Every instruction, each in a function of its own whose stack is polymorphic (after `unreachable`). */
function everyInstruction(): Instruction[] {
  // Object.keys gives strings; these are the keys of the tables.
  const keys = <K extends string>(table: Record<K, unknown>): K[] => Object.keys(table) as K[];
  return [
    ...keys(plainOpcodes).map((name): Instruction => ({ kind: "plain", op: name })),
    ...keys(memoryOpcodes).map((name): Instruction => ({ kind: "memory", op: name, offset: 300 })),
    ...keys(memoryLaneOpcodes).map((name): Instruction => ({ kind: "memoryLane", op: name, offset: 8, lane: 1 })),
    ...keys(laneOpcodes).map((name): Instruction => ({ kind: "lane", op: name, lane: 1 })),
    { kind: "memoryFill" },
    ...i64(-1),
    ...i64(0xa2f9836e4e441529n),
    ...i32(0x8000_0000),
    ...f32(0.1),
    ...shuffle32([0, 5, 2, 7]),
  ];
}

function moduleOf(instructions: readonly Instruction[]): ModuleBuilder {
  const module = newModule();
  instructions.forEach((instruction, index) => {
    module.define(`f${index}`, [], [], (f) => {
      f.op("unreachable");
      f.emit([instruction]);
      f.op("unreachable");
    });
  });
  return module;
}

describe("encoding", () => {
  test("every instruction is what wabt makes of its text", () => assertSameAsWabt(moduleOf(everyInstruction())));

  test("every instruction but relaxed SIMD is valid in the host", () => {
    const fixed = everyInstruction().filter(
      (instruction) => !("op" in instruction && instruction.op.includes("relaxed")),
    );
    for (const instruction of fixed) {
      assert.ok(
        webAssembly.validate(moduleOf([instruction]).encode()),
        JSON.stringify(instruction, (_, v) => `${v}`),
      );
    }
  });

  test("every section, control construct and vector function is what wabt makes of its text", async () => {
    const module = newModule();
    const log = module.importFunction("env", "log", ["i32"], []);
    const main = module.define("main", ["i32", "f32"], ["f32"], (f, n, x) => {
      f.call(log, n);
      f.block((exit) => {
        f.loop((again) => {
          f.branchIf(exit, op("i32.eqz", n));
          f.block((a) => f.block((b) => f.branchTable([a, b, again], exit, n)));
        });
      });
      f.get(n);
      f.if(
        () => f.get(x),
        () => f.emit(f32(-0)),
        "f32",
      );
    });
    const vector = module.define("vector", ["v128", "v128"], ["v128"], (f, x, y) => {
      f.get(x);
      for (const name of unaryOps.filter((unary) => unary !== "isFinite" && unary !== "isNaN" && unary !== "not")) {
        emitUnary(f, name, "f32");
      }
      f.get(y);
      emitBinary(f, "power", "f32");
      f.emit(x, y, x);
      emitThreefry(f, 1);
    });
    module.export(main);
    module.export(vector, "a vector");
    await assertSameAsWabt(module);
    assert.ok(webAssembly.validate(module.encode()));
  });

  test("functions of another module are refused", () => {
    const other = new ModuleBuilder().define("other", [], [], () => {});
    const module = newModule();
    module.define("main", [], [], (f) => f.call(other));
    assert.throws(() => module.encode(), { code: "kernel", message: /function other is used here/ });
  });
});

describe("running", () => {
  test("loops, branches and locals of mixed types", () => {
    const module = newModule();
    module.export(
      module.define("sumBelow", ["i32"], ["i32"], (f, n) => {
        const i = f.local("i32", "i");
        const others = (["f32", "v128", "i64"] as const).map((type) => f.local(type, "other"));
        const sum = f.local("i32", "sum");
        for (const other of others) f.set(other, other);
        f.block((exit) => {
          f.loop((again) => {
            f.branchIf(exit, op("i32.ge_s", i, n));
            f.set(sum, op("i32.add", sum, i));
            f.set(i, op("i32.add", i, i32(1)));
            f.branch(again);
          });
        });
        f.get(sum);
      }),
    );
    const { run } = instantiate(module);
    assert.equal(run("sumBelow", 10), 45);
    assert.equal(run("sumBelow", 0), 0);
  });

  test("branch tables choose their label, the last beyond the table", () => {
    const module = newModule();
    module.export(
      module.define("choose", ["i32"], ["i32"], (f, index) => {
        const chosen = f.local("i32", "chosen");
        const nest = (labels: readonly Label[]): void => {
          if (labels.length === 3) {
            const [outer, middle, inner] = labels;
            if (outer === undefined || middle === undefined || inner === undefined) throw new Error("three labels");
            f.branchTable([inner, middle], outer, index);
          } else {
            f.block((label) => nest([...labels, label]));
            f.set(chosen, op("i32.add", chosen, i32(1)));
          }
        };
        nest([]);
        f.get(chosen);
      }),
    );
    const { run } = instantiate(module);
    assert.deepEqual(
      [0, 1, 2, 77].map((index) => run("choose", index)),
      [3, 2, 1, 1],
    );
  });

  test("atomics and memory.fill act on the shared memory", () => {
    const module = newModule();
    module.export(
      module.define("work", [], ["i32"], (f) => {
        f.memory("i32.atomic.store", 64, i32(0), i32(40));
        f.memory("i32.atomic.rmw.add", 64, i32(0), i32(2));
        f.op("drop");
        f.memoryFill(i32(128), i32(7), i32(4));
        f.op("i32.add", memory("memory.atomic.notify", 64, i32(0), i32(1)), memory("i32.atomic.load", 64, i32(0)));
      }),
    );
    const { run, memory: shared } = instantiate(module);
    assert.equal(run("work"), 42);
    const words = new Int32Array(shared.buffer);
    assert.deepEqual([words[16], words[32]], [42, 0x07070707]);
  });

  test("a function is defined once and shared", () => {
    const module = newModule();
    let built = 0;
    const build = (f: FunctionBuilder): void => {
      built++;
      f.emit(i32(3));
    };
    assert.equal(module.define("three", [], ["i32"], build), module.define("three", [], ["i32"], build));
    assert.equal(built, 1);
    assert.equal(module.functions.length, 1);
  });

  test("a label is refused outside of its own block", () => {
    newModule().define("escape", [], [], (f) => {
      let escaped: Label | null = null;
      f.block((label) => {
        escaped = label;
      });
      f.block(() => {
        assert.throws(() => f.branch(escaped ?? { level: 9 }), { code: "kernel", message: /escape.*label/ });
      });
    });
  });
});
