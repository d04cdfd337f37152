/** What is asked of a WebGPU adapter beyond what every adapter has, and what it grants. */
import type { DeviceTraits } from "../device.ts";

/** Kernels, tiles and buffers may be as large as the adapter lets them; a device has the least of each unless more is asked for. */
const limits = [
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBuffersPerShaderStage",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/** Features that not every adapter has: times of kernels, values handed between lanes, half precision. */
const features: readonly GPUFeatureName[] = ["timestamp-query", "subgroups", "shader-f16"];

/** Asks for all that the adapter has of these. */
export function deviceRequest(adapter: GPUAdapter): GPUDeviceDescriptor {
  return {
    requiredFeatures: features.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(limits.map((limit) => [limit, adapter.limits[limit]])),
  };
}

/** What a device has of what was asked for. */
export function grantsOf(device: GPUDevice): Pick<NonNullable<DeviceTraits["adapter"]>, "limits" | "features"> {
  return {
    limits: Object.fromEntries(limits.map((limit) => [limit, device.limits[limit]])),
    features: features.filter((feature) => device.features.has(feature)),
  };
}
