/** Networks: magnitude-preserving layers, the U-Net of EDM2, optimizers. Safe to import in a page. */
export * from "./classic/index.ts";
export * from "./mp/index.ts";
export * from "./optim/index.ts";
export {
  checkParameters,
  countParameters,
  flattenParameters,
  type Initializer,
  initializeParameters,
  type NamedParameters,
  nestParameters,
  type ParameterRole,
  type ParameterSpec,
  type ParameterTree,
} from "./parameters.ts";
export * from "./unet/index.ts";
