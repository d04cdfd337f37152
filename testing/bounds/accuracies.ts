import type { DeviceName } from "../../engine/devices/device.ts";
import type { Accuracy } from "./bounds.ts";

/** IEEE arithmetic in float32 or better, elementary functions within 2.6 units in the last place, subnormals kept. */
const exactArithmetic: Accuracy = {
  elementary: 2,
  elementaryAbsolute: 0,
  division: 1,
  specialValues: true,
  flushesSubnormals: false,
};

/** What WGSL and GLSL promise: division within 2.5 units in the last place, no promise for NaN, infinities and subnormals. */
const shaderArithmetic: Accuracy = {
  elementary: 8,
  elementaryAbsolute: 0,
  division: 5,
  specialValues: false,
  flushesSubnormals: true,
};

/** What each device's results are held to. */
export const accuracies: { readonly [K in DeviceName]: Accuracy } = {
  oracle: exactArithmetic,
  wasm: exactArithmetic,
  cpu: exactArithmetic,
  webgpu: shaderArithmetic,
  webgl2: shaderArithmetic,
};
