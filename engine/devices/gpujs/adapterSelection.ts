/** Finds WebGPU (the page's own, or in Node the optional package `webgpu`) and tells a real adapter from a software one. */
import { EvenkeelError, messageOf } from "../../errors.ts";
import type { DeviceTraits } from "../device.ts";

/** What `navigator.gpu` is in a page. */
export type WebgpuEntry = { requestAdapter(options?: GPURequestAdapterOptions): Promise<GPUAdapter | null> };

export type WebgpuProbe = {
  /** Whether an adapter is to be had. */
  readonly available: boolean;
  /** Whether the adapter computes on the CPU (SwiftShader, llvmpipe, WARP). */
  readonly software: boolean;
  /** The adapter in a line, or "none". */
  readonly description: string;
  /** Why there is no adapter. */
  readonly reason?: string;
};

/** What the package `webgpu` exports. */
type WebgpuPackage = { readonly create: (options: string[]) => WebgpuEntry };

/** Whether this is Node, whatever globals a page's bundler may have added. */
export const isNode =
  (globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } }).process?.versions?.node !==
  undefined;

/** Dawn stops Chromium-like clients from reading fine timestamps; a profiler in Node wants them. */
const dawnOptions = ["disable-dawn-features=timestamp_quantization"];

let nodeEntry: Promise<WebgpuEntry> | undefined;

/**
 * The way to WebGPU here. In Node the package `webgpu` is loaded at the first call; nothing is put on `globalThis`.
 * @throws EvenkeelError `device` saying what is missing and how to get it.
 */
export async function webgpuEntry(): Promise<WebgpuEntry> {
  const own = (globalThis as { readonly navigator?: { readonly gpu?: WebgpuEntry } }).navigator?.gpu;
  if (own !== undefined) return own;
  if (!isNode) {
    throw new EvenkeelError(
      "device",
      "webgpu: this browser has no navigator.gpu. WebGPU needs a current browser and a page from https or localhost; use device wasm or webgl2.",
    );
  }
  nodeEntry ??= loadPackage();
  // A failure is not remembered: the package may be installed meanwhile.
  nodeEntry.catch(() => (nodeEntry = undefined));
  return nodeEntry;
}

async function loadPackage(): Promise<WebgpuEntry> {
  // The name in a variable keeps bundlers for pages from looking for the package.
  const packageName = "webgpu";
  try {
    const { create } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName)) as WebgpuPackage;
    const entry = create(dawnOptions);
    return { requestAdapter: (options) => withoutWayland(() => entry.requestAdapter(options)) };
  } catch (cause) {
    throw new EvenkeelError(
      "device",
      `webgpu: the optional package "webgpu" can't be loaded in Node (${reasonOf(cause)}). Install it: npm install webgpu@0.6.2.`,
      { cause },
    );
  }
}

/**
 * Drivers look for a Wayland display, also where there can be none as there is no XDG_RUNTIME_DIR, which its library then complains of on
 * standard error. A display that is named by a path it looks for there alone, in silence.
 * @param ask looks for it before it returns
 */
function withoutWayland<T>(ask: () => T): T {
  const { env } = process;
  const { XDG_RUNTIME_DIR: folder, WAYLAND_DISPLAY: display } = env;
  if (folder !== undefined || display !== undefined) return ask();
  env["WAYLAND_DISPLAY"] = "/";
  try {
    return ask();
  } finally {
    delete env["WAYLAND_DISPLAY"];
  }
}

/**
 * An adapter, which can give one GPUDevice.
 * @throws EvenkeelError `device` if there is none, with what to install.
 */
export async function requestAdapter(): Promise<GPUAdapter> {
  const entry = await webgpuEntry();
  const adapter = await entry.requestAdapter({ powerPreference: "high-performance" });
  if (adapter !== null) return adapter;
  const hint = isNode
    ? "In Node on Linux it needs the Vulkan loader (libvulkan1) and a driver; for software rendering install chromium and set " +
      "VK_ICD_FILENAMES to its vk_swiftshader_icd.json before the first use of WebGPU " +
      `(now: ${process.env["VK_ICD_FILENAMES"] ?? "not set"}).`
    : "See chrome://gpu for the reason; the graphics driver may be blocked or missing.";
  throw new EvenkeelError("device", `webgpu: WebGPU is here but has no adapter. ${hint} Or use device wasm.`);
}

/** Whether an adapter computes on the CPU. */
export function isSoftwareAdapter(adapter: GPUAdapter): boolean {
  const { vendor, architecture, device, description } = adapter.info;
  // Older browsers say it of the adapter itself.
  const fallback =
    adapter.info.isFallbackAdapter || (adapter as { readonly isFallbackAdapter?: boolean }).isFallbackAdapter;
  return fallback === true || isSoftwareName(`${vendor} ${architecture} ${device} ${description}`);
}

/** Whether a driver's words for what draws name a renderer on the CPU. */
export function isSoftwareName(name: string): boolean {
  return /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bwarp\b|\bcpu\b/i.test(name);
}

/** What an adapter is called, and whether it is one. */
export type AdapterName = Pick<NonNullable<DeviceTraits["adapter"]>, "name" | "isSoftware">;

/** Vendor and architecture of an adapter, and what its maker says of it. */
export function adapterOf(adapter: GPUAdapter): AdapterName {
  const { vendor, architecture, description } = adapter.info;
  const name = [vendor, architecture].filter((word) => word !== "").join(" ") || "unnamed adapter";
  const detail = description === "" ? "" : ` (${description})`;
  return { name: `${name}${detail}`, isSoftware: isSoftwareAdapter(adapter) };
}

/** The adapter in a line. */
export function describeAdapter({ name, isSoftware }: AdapterName): string {
  return `${name}${isSoftware ? ", software" : ""}`;
}

/** Whether WebGPU is to be had here and on what; never throws. Asks for an adapter, but makes no device. */
export async function probeWebgpu(): Promise<WebgpuProbe> {
  try {
    const adapter = adapterOf(await requestAdapter());
    return { available: true, software: adapter.isSoftware, description: describeAdapter(adapter) };
  } catch (error) {
    return { available: false, software: false, description: "none", reason: reasonOf(error) };
  }
}

/** The message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return messageOf(error);
}
