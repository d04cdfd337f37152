import { type Arguments, compile, type Device } from "../../engine/index.ts";

/** Compiles a function of trees of tensors for a device, calls it once and frees what it needed. */
export async function evaluateOn<Args extends readonly unknown[], Result>(
  device: Device,
  fn: (...args: Args) => Result,
  ...args: Arguments<Args>
): Promise<Result> {
  const program = compile(fn, { device });
  try {
    return await program(...args);
  } finally {
    program.dispose();
  }
}
