import type { ResampleMode } from "../mp/index.ts";
import type { ActivationFormat } from "./config.ts";
import type { UNetSwitches } from "./switches.ts";

/** A residual block: its place, sizes and constants, and its network's switches. */
export type BlockConfig = {
  readonly flavor: "enc" | "dec";
  readonly inChannels: number;
  readonly outChannels: number;
  readonly embChannels: number;
  readonly resampleMode: ResampleMode;
  readonly resampleFilter: readonly number[];
  readonly attention: boolean;
  readonly channelsPerHead: number;
  readonly dropout: number;
  readonly resBalance: number;
  readonly attnBalance: number;
  readonly clipAct: number | null;
  readonly activations: ActivationFormat;
  readonly switches: UNetSwitches;
};
