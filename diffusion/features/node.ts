/** Features of networks from files; only for Node. */
export { type NsfwjsName, nsfwjsFeatures, nsfwjsNames } from "./node/nsfwjs.ts";
export {
  onnxFeatures,
  type OnnxOptions,
  type OnnxPreset,
  onnxPresets,
  type OnnxRuntime,
  type OnnxSession,
} from "./node/onnx.ts";
