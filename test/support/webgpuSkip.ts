/** Whether WebGPU tests can run in this Node. */
import "./softwareVulkan.ts";
import { probeWebgpu } from "../../engine/devices/gpujs/adapterSelection.ts";

const probe = await probeWebgpu();
if (!probe.available && process.env["CI"] === "true") throw new Error(`CI wants WebGPU in Node, but: ${probe.reason}`);
if (!probe.available) console.warn(`WEBGPU TESTS SKIPPED: ${probe.reason}`);

/** For `test(name, { skip: webgpuSkip }, ...)`: false, or the reason why there is no WebGPU here. */
export const webgpuSkip: string | false = probe.available ? false : (probe.reason ?? "no WebGPU");
