import type { RunPhase } from "../state/run.ts";

/** What a run does, in words. */
export function phaseText(phase: RunPhase): string {
  switch (phase.kind) {
    case "preparing":
      return `Preparing: ${phase.what}`;
    case "training":
      return "Training";
    case "paused":
      return "Paused";
    case "stopping":
      return "Stopping: writing a checkpoint";
    case "stopped":
      return "Stopped";
    case "finished":
      return "Finished";
    case "elsewhere":
      return "In other hands: another tab trains it, or its files are being moved. Look there, or wait, then go on here";
    case "failed":
      return `Failed: ${phase.message}`;
  }
}
