/**
 * WebGPU in Node for tests on machines without a GPU: the SwiftShader that comes with Debian's chromium. Import before
 * the first use of WebGPU. Leaves a machine alone that names its own Vulkan driver or has no chromium.
 */
import { existsSync } from "node:fs";
import { constants } from "node:os";

const chromiumFolder = "/usr/lib/chromium";
const driver = `${chromiumFolder}/vk_swiftshader_icd.json`;
const loader = `${chromiumFolder}/libvulkan.so.1`;

if (process.platform === "linux" && existsSync(driver)) {
  process.env["VK_ICD_FILENAMES"] ??= driver;
  if (process.env["VK_ICD_FILENAMES"] === driver && existsSync(loader)) preload(loader);
}

/** Debian's chromium brings the Vulkan loader too; once it is in the process, WebGPU finds it by its name. */
function preload(library: string): void {
  /** dlopen's RTLD_NODELETE, which Node doesn't list. */
  const keep = 0x1000;
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen;
  try {
    process.dlopen({ exports: {} }, library, RTLD_NOW | RTLD_GLOBAL | keep);
  } catch {
    // Node loads the library and then complains that it is no Node addon.
  }
}
