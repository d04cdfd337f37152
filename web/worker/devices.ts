/** What can compute in this browser. */
import { createDevice, messageOf } from "../../engine/index.ts";
import type { DeviceState } from "./messages.ts";

const names = ["wasm", "webgpu", "webgl2"] as const;

/** Asks for each device in turn; none is kept. */
export async function probeDevices(): Promise<readonly DeviceState[]> {
  const states: DeviceState[] = [];
  for (const name of names) states.push(await probe(name));
  return states;
}

async function probe(name: DeviceState["name"]): Promise<DeviceState> {
  // gpu.js is large: it is loaded by who trains on a GPU, not by who looks for one.
  if (name === "webgpu" && !("gpu" in navigator)) return { name, available: false, text: "this browser has no WebGPU" };
  if (name === "webgl2") {
    const context = new OffscreenCanvas(1, 1).getContext("webgl2");
    if (context === null) return { name, available: false, text: "this browser has no WebGL2 in workers" };
    const hasFloats = context.getExtension("EXT_color_buffer_float") !== null;
    context.getExtension("WEBGL_lose_context")?.loseContext();
    return hasFloats
      ? { name, available: true, text: "WebGL2 with float textures; slow, exact" }
      : { name, available: false, text: "WebGL2 here can't compute with floats" };
  }
  if (name === "webgpu") {
    const adapter = await navigator.gpu.requestAdapter().catch(() => null);
    if (adapter === null) return { name, available: false, text: "WebGPU found no adapter" };
    const { vendor, architecture, description } = adapter.info;
    const words = [vendor, architecture, description].filter((word) => word !== "").join(" ");
    return {
      name,
      available: true,
      text: `WebGPU on ${words === "" ? "an adapter that doesn't say what it is" : words}`,
    };
  }
  try {
    const device = await createDevice(name);
    const { description } = device;
    device.dispose();
    return { name, available: true, text: description };
  } catch (reason) {
    return { name, available: false, text: messageOf(reason) };
  }
}
