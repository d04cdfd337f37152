/** Forward convolutions by Winograd's algorithm, shared among threads one way or the other. */
import type { Kernel } from "../../../../kernel/kernel.ts";
import type { Phase, Scratch } from "../../loops/index.ts";
import type { Finish } from "../finish.ts";
import { imagesPhases, imagesScratch } from "./forwardImages.ts";
import { outputsPhases, outputsScratch } from "./forwardOutputs.ts";
import type { WinogradForward } from "./plan.ts";

export const forwardPhases = (kernel: Kernel, plan: WinogradForward, finish: Finish): readonly Phase[] =>
  plan.shares === "images" ? imagesPhases(kernel, plan, finish) : outputsPhases(kernel, plan, finish);

export const forwardScratch = (plan: WinogradForward): Scratch =>
  plan.shares === "images" ? imagesScratch(plan) : outputsScratch(plan);
