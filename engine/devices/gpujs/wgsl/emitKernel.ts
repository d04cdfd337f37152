/** A kernel as WGSL of our own, by the schedule that fits it. */
import { EvenkeelError } from "../../../errors.ts";
import { at } from "../../../graph/shape.ts";
import { readsOwn } from "../../../kernel/access.ts";
import { sameAffine } from "../../../kernel/affine.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import { sharing } from "../../../kernel/kernelKey.ts";
import { normalizeKernel, withValues } from "../../../kernel/normalize.ts";
import { emitElementwise } from "./elementwise.ts";
import {
  chooseTile,
  emitProduct,
  keyOfProduct,
  type ProductChoice,
  productOf,
  type Tile,
  tiledProduct,
  tilesFor,
  type TunedTiles,
} from "./product/index.ts";
import { emitReduction, type TeamChoice } from "./reduction.ts";
import type { Aliases, WgslKernel } from "./wgslKernel.ts";

/** How a kernel is to be run, where it isn't left to the engine. */
export type EmitOptions = {
  readonly product?: ProductChoice;
  readonly teams?: TeamChoice;
  /** Tiles that go before those that `product` would choose, for products that are worth tiles. */
  readonly tuned?: TunedTiles;
  /** Tiles that are timed where some are looked for; default: all. */
  readonly tried?: readonly Tile[];
};

/** How kernels are run on an adapter: without workgroups' memory and barriers where the CPU acts for a GPU. */
export const schedulesFor = ({ isSoftware }: { readonly isSoftware: boolean }): EmitOptions =>
  isSoftware ? { product: "registers", teams: "loops" } : {};

/**
 * The text depends on the computation only, not on the kernel's name, so that equal kernels of any program share one pipeline.
 * @throws EvenkeelError `kernel` if the kernel has no elements: nothing is to be run; `graph` if it writes over what another thread reads
 */
export function emitKernel(described: Kernel, aliases: Aliases, options: EmitOptions = {}): WgslKernel {
  if (described.stores[0].length === 0) {
    throw new EvenkeelError(
      "kernel",
      `webgpu kernel ${described.name}: its result has no elements, so there is no thread to run.`,
    );
  }
  checkAliases(described, aliases);
  return emitUnchecked(normalizeKernel(described), aliases, options);
}

/**
 * The same of a kernel that is sure to have elements and to read what it overwrites only where and before it does.
 * @param kernel normalized
 */
export function emitUnchecked(kernel: Kernel, aliases: Aliases, options: EmitOptions = {}): WgslKernel {
  return emitShared(withSharedExpressions(kernel), aliases, options);
}

/**
 * The kernel with each expression once. What is written twice compilers may find to be one, or not, depending on how it is bound, and
 * compute with it in other ways.
 */
export function withSharedExpressions(kernel: Kernel): Kernel {
  const share = sharing();
  const { reduction } = kernel;
  return withValues({ ...kernel, reduction: reduction && { ...reduction, body: share(reduction.body) } }, share);
}

function emitShared(kernel: Kernel, aliases: Aliases, { product: choice, teams, tuned }: EmitOptions): WgslKernel {
  const { reduction } = kernel;
  if (reduction === null) return emitElementwise(kernel, aliases);
  const product = productOf(kernel);
  const chosen = product === null ? null : chooseTile(product, choice);
  if (product === null || chosen === null) return emitReduction(kernel, reduction, aliases, teams);
  const found = tuned === undefined || tuned.size === 0 ? undefined : tuned.get(keyOfProduct(product));
  const tile = found !== undefined && tilesFor(product).includes(found) ? found : chosen;
  return emitProduct(product, tiledProduct(product, tile), aliases);
}

/** An operand in the memory of a result is read where, and before, it is written, by the same thread. */
function checkAliases(kernel: Kernel, aliases: Aliases): void {
  aliases.operands.forEach((result, operand) => {
    if (result === null) return;
    const { at: written } = at(kernel.stores, result);
    const own = readsOwn(kernel, (address) => sameAffine(address, written));
    if (at(own, operand)) return;
    throw new EvenkeelError("graph", `webgpu: the plan has kernel ${kernel.name} write the buffer it reads.`);
  });
}
