import { baselineNetworks, baselines } from "./baseline.ts";
import { blocks } from "./blocks.ts";
import type { Kind } from "./kind.ts";
import { postHocChains } from "./postHocChain.ts";
import { primitives } from "./primitives.ts";
import { sampling } from "./sampling.ts";
import { scalars } from "./scalars.ts";
import { pickledSnapshots, snapshots } from "./snapshot.ts";
import { toyMixture } from "./toyMixture.ts";
import { training } from "./training.ts";
import { unets } from "./unet.ts";

/** Every kind of reference file. */
export const kinds: readonly Kind[] = [
  primitives,
  blocks,
  unets,
  training,
  sampling,
  scalars,
  snapshots,
  pickledSnapshots,
  postHocChains,
  toyMixture,
  baselineNetworks,
  baselines,
];
