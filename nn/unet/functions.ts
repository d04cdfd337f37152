/** Functions without weights, plain or magnitude-preserving: one switch each. */
import { add, concat, roundToFloat16, silu, type Tensor } from "../../engine/index.ts";
import { mpCat, mpSilu, mpSum } from "../mp/index.ts";
import type { ActivationFormat } from "./config.ts";
import type { UNetSwitches } from "./switches.ts";

/** The nonlinearity of a network. Switch `mpSilu`. @param kept what is done to what is made on the way; default: nothing. */
export function activate({ mpSilu: isMp }: UNetSwitches, x: Tensor, kept?: (y: Tensor) => Tensor): Tensor {
  return isMp ? mpSilu(x, kept) : silu(x);
}

/** The main path and a branch of weight `balance`. Switch `mpSum`; a plain sum knows no balance. */
export function joinBranch({ mpSum: isMp }: UNetSwitches, main: Tensor, branch: Tensor, balance: number): Tensor {
  return isMp ? mpSum(main, branch, balance) : add(main, branch);
}

/** The main path and a skip of weight `balance`, along the channels. Switch `mpCat`; plain, no part is scaled. */
export function joinSkip({ mpCat: isMp }: UNetSwitches, main: Tensor, skip: Tensor, balance: number): Tensor {
  return isMp ? mpCat(main, skip, balance) : concat([main, skip], 1);
}

/** Features as they are kept: of so many bits, forwards and backwards. Option `activations`. */
export function keep({ activations }: { readonly activations: ActivationFormat }, x: Tensor): Tensor {
  return activations === "float16" ? roundToFloat16(x) : x;
}
