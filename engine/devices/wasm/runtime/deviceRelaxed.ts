/** Relaxed SIMD: behind a flag in the V8 of Node 20, on by default from Node 21 on. */
import { EvenkeelError } from "../../../errors.ts";
import { ModuleBuilder } from "../assembler/index.ts";
import { isNode } from "./threadsHost.ts";
import { webAssembly } from "./webAssembly.ts";

/** Turns on relaxed SIMD if the host has it. @throws EvenkeelError `device` if it doesn't. */
export async function enableRelaxedSimd(): Promise<void> {
  if (isAvailable()) return;
  if (isNode) {
    // A computed specifier, so that bundlers for pages don't look for Node's module.
    const name: string = "node:v8";
    const v8 = (await import(name)) as typeof import("node:v8");
    v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
    if (isAvailable()) return;
  }
  throw new EvenkeelError(
    "device",
    "wasm: the option relaxed asks for relaxed SIMD, which this host's WebAssembly doesn't have. Leave the option out.",
  );
}

function isAvailable(): boolean {
  const module = new ModuleBuilder();
  const probe = module.define("probe", ["v128"], ["v128"], (f, x) => f.op("f32x4.relaxed_madd", x, x, x));
  module.export(probe);
  return webAssembly.validate(module.encode());
}
