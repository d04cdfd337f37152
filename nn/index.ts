/** Networks: magnitude-preserving layers, the U-Net of EDM2, optimizers. Safe to import in a page. */
export * from "./classic/index.ts";
export * from "./mp/index.ts";
export { flattenParameters, nestParameters, type ParameterTree } from "./nesting.ts";
export * from "./optim/index.ts";
export {
  checkParameters,
  countParameters,
  type Initializer,
  initializeParameters,
  type NamedParameters,
  type ParameterRole,
  type ParameterSpec,
} from "./parameters.ts";
export * from "./unet/index.ts";
