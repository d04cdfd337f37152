import type { DeviceName } from "../../../engine/index.ts";

/** Why a test of the suite is no measure, and on which devices. */
type Fault = { readonly why: string; readonly devices: readonly DeviceName[] };

/** -2.5 / (5 / 255) is -127.5 in float64, a tie, and a little more in float32, as the test has it. */
const atTie: Fault = {
  why: "-2.5 / (5 / 255) lies at a tie in float64, and not in the test's float32",
  devices: ["oracle", "cpu"],
};

/** Tests of the suite that contradict their own model, or in which only the rounding of float32 decides. */
export const faults: { readonly [test: string]: Fault } = {
  test_adam_multiple: {
    why: "its numbers were made with epsilon 1e-2, which its node doesn't have (the standard's default is 1e-6)",
    devices: ["oracle", "wasm", "cpu", "webgpu", "webgl2"],
  },
  test_dynamicquantizelinear: atTie,
  test_dynamicquantizelinear_expanded: atTie,
};
