import type { Tensor } from "../../engine/index.ts";
import {
  describeGroupNorm,
  groupNorm,
  type GroupNormParameters,
  normGroups,
  simpleGroupNorm,
} from "../classic/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import type { UNetSwitches } from "./switches.ts";

/**
 * A norm under the switches `groupNorm` and `bias`: only a learned one has arrays.
 * @throws EvenkeelError `shape` if the channels don't divide into groups.
 */
export function describeNorm(switches: UNetSwitches, channels: number): GroupNormParameters<ParameterSpec> | undefined {
  if (switches.groupNorm === "none") return undefined;
  normGroups(channels);
  return switches.groupNorm === "learned" ? describeGroupNorm(channels, switches.bias) : undefined;
}

/** A norm of `describeNorm`; x itself if there is none. */
export function applyNorm(switches: UNetSwitches, x: Tensor, parameters: GroupNormParameters | undefined): Tensor {
  switch (switches.groupNorm) {
    case "learned":
      if (parameters === undefined) throw new RangeError("a learned group norm has arrays");
      return groupNorm(x, parameters);
    case "simple":
      return simpleGroupNorm(x);
    case "none":
      return x;
  }
}
