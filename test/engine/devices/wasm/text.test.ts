import assert from "node:assert/strict";
import { test } from "node:test";
import { f32x4, i32, i32x4, i64x2, op } from "../../../../engine/devices/wasm/assembler/instructions.ts";
import { ModuleBuilder } from "../../../../engine/devices/wasm/assembler/moduleBuilder.ts";
import { functionText, moduleText } from "../../../../engine/devices/wasm/assembler/text.ts";

test("a function reads as WebAssembly text", () => {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 2, shared: true });
  const scale = module.define("scale", ["i32", "i32"], [], (f, pointer, end) => {
    const factor = f.let("v128", "factor", f32x4(0.5, -Infinity, NaN, -0));
    f.loop((again) => {
      f.get(pointer);
      f.memory("v128.load", 0, pointer);
      f.op("f32x4.mul", factor);
      f.op("v128.and", i32x4(1, -1, 0x7fffff, 0x80000000));
      f.op("v128.or", i64x2(-1n));
      f.memory("v128.store", 32);
      f.tee(pointer, op("i32.add", pointer, i32(16)));
      f.op("i32.lt_u", end);
      f.if(
        () => f.branch(again),
        () => f.op("nop"),
      );
    });
  });
  module.export(scale, "run");
  const [f] = module.functions;
  assert.ok(f !== undefined);
  const text = `(func $scale (param $p_0 i32) (param $p_1 i32)
  (local $factor_2 v128)
  v128.const f32x4 0.5 -inf nan -0
  local.set $factor_2
  loop
    local.get $p_0
    local.get $p_0
    v128.load align=4
    local.get $factor_2
    f32x4.mul
    v128.const i32x4 1 -1 0x7fffff 0x80000000
    v128.and
    v128.const i64x2 -1 -1
    v128.or
    v128.store offset=32 align=4
    local.get $p_0
    i32.const 16
    i32.add
    local.tee $p_0
    local.get $p_1
    i32.lt_u
    if
      br 1
    else
      nop
    end
  end)`;
  assert.equal(functionText(f), text);
  assert.equal(
    moduleText(module),
    `(module
  (import "env" "memory" (memory 1 2 shared))
${text.replace(/^/gm, "  ")}
  (export "run" (func $scale)))
`,
  );
});
