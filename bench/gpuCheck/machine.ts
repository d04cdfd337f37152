/** What the machine has of what WebGPU in Node needs, and what it lacks, in plain words. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { requestAdapter } from "../../engine/devices/gpujs/adapterSelection.ts";
import { probeWebgpu } from "../../engine/devices/gpujs/webgpuDevice.ts";
import { tableOf } from "../markdown.ts";
import type { Finding } from "./report.ts";

/** What a command prints; empty where it isn't there or fails. */
function printed(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, {
      encoding: "utf8",
      timeout: 20_000,
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}

const driverFolders = ["/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

function driverFiles(): string[] {
  return driverFolders.flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).map((name) => path.join(folder, name)) : [],
  );
}

/** Whether the system or a folder of LD_LIBRARY_PATH has a library. */
function hasLibrary(name: string): boolean {
  const folders = (process.env["LD_LIBRARY_PATH"] ?? "").split(":").filter((folder) => folder !== "");
  return folders.some((folder) => existsSync(path.join(folder, name))) || printed("ldconfig", "-p").includes(name);
}

/** The machine, its driver, and what it lacks. */
export async function describeMachine(): Promise<Finding> {
  const named = process.env["VK_DRIVER_FILES"] ?? process.env["VK_ICD_FILENAMES"];
  const data = {
    cpu: os.cpus()[0]?.model ?? "unknown",
    cores: os.availableParallelism(),
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    node: process.version,
    nvidia: printed(
      "nvidia-smi",
      "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit",
      "--format=csv,noheader",
    ),
    vulkanLoader: hasLibrary("libvulkan.so.1"),
    nvidiaVulkan: hasLibrary("libGLX_nvidia.so.0"),
    driverFiles: driverFiles(),
    namedDriver: named ?? null,
  };
  const missing = [
    ...(data.nvidia === "" ? ["nvidia-smi says nothing: no NVIDIA driver, or it isn't in the path"] : []),
    ...(data.vulkanLoader ? [] : ["no Vulkan loader (libvulkan.so.1): install libvulkan1"]),
    ...(data.driverFiles.length === 0 && named === undefined
      ? [
          `no Vulkan driver file in ${driverFolders.join(", ")}: name one by VK_DRIVER_FILES, such as nvidia_icd.json of the driver's ` +
            `package${data.nvidiaVulkan ? "" : " (libGLX_nvidia.so.0 isn't here either: containers need the driver's graphics libraries)"}`,
        ]
      : []),
    ...(named !== undefined && !existsSync(named.split(":")[0] ?? "")
      ? [`VK_DRIVER_FILES or VK_ICD_FILENAMES is ${named}, which isn't there`]
      : []),
  ];
  const rows = Object.entries(data).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(" ") : String(value),
  ]);
  const lack =
    missing.length === 0
      ? "Nothing that is known to be needed is missing."
      : missing.map((one) => `- ${one}`).join("\n");
  return { data: { ...data, missing }, text: `${tableOf(["", ""], rows)}\n\n${lack}` };
}

/** The adapter that the engine asks for, with all its limits and features. */
export async function describeAdapterPart(): Promise<Finding> {
  const probe = await probeWebgpu();
  const adapter = await requestAdapter();
  const { vendor, architecture, device, description } = adapter.info;
  const limits: Record<string, number> = {};
  // They are getters of the prototype: no spread finds them.
  for (const name in adapter.limits) {
    const value: unknown = Reflect.get(adapter.limits, name);
    if (typeof value === "number") limits[name] = value;
  }
  const features = [...adapter.features].sort();
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  const data = { probe, vendor, architecture, device, description, subgroupMinSize, subgroupMaxSize, features, limits };
  const warning = probe.software ? "\n\n**A software adapter: its times are no speeds of a GPU.**" : "";
  const rows = [...Object.entries(limits), ["subgroups", `${subgroupMinSize} to ${subgroupMaxSize}`] as const];
  return {
    data,
    text: `${probe.description}${warning}\n\nFeatures: ${features.join(", ")}\n\n${tableOf(["limit", ""], rows)}`,
  };
}
