import type { Target } from "../target.ts";
import { arraysTarget, folderTarget, picturesTarget, zipTarget } from "./datasets.ts";
import { headerTargets, pickleTarget, safetensorsTarget } from "./networks.ts";
import { onnxTarget } from "./onnx.ts";
import { pngTarget } from "./png.ts";
import { textTargets } from "./texts.ts";

/** All readers of files; a new one is a line here. */
export const targets: readonly Target[] = [
  zipTarget,
  folderTarget,
  pngTarget,
  picturesTarget,
  arraysTarget,
  pickleTarget,
  safetensorsTarget,
  onnxTarget,
  ...headerTargets,
  ...textTargets,
];
