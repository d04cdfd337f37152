import { isCheckpointName } from "../../diffusion/checkpoint/index.ts";
import { findStartWeights, type StartWeights } from "../../diffusion/run/node.ts";
import type { PlannedSettings } from "../../diffusion/settings/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import { exists } from "../exists.ts";

/**
 * The network that a run begins with (`--from`); null if its weights are drawn, or if it goes on from a checkpoint, which needs no other
 * file. To be asked before data are read or anything is written.
 * @throws EvenkeelError `file` for what is no such network.
 */
export async function startOf({ from, outdir }: PlannedSettings): Promise<StartWeights | null> {
  if (from === undefined) return null;
  const names = outdir !== undefined && (await exists(outdir)) ? await diskFolder(outdir).list() : [];
  return names.some(isCheckpointName) ? null : findStartWeights(from);
}
