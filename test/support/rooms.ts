/**
 * Where examples import from: every entry point of the package by its name, and what else they use. What a function's own entry point has
 * they needn't import; of several that is the first.
 */
import * as filePromises from "node:fs/promises";
import * as fastCheck from "fast-check";
import * as checkpoint from "../../diffusion/checkpoint/index.ts";
import * as data from "../../diffusion/data/index.ts";
import * as dataNode from "../../diffusion/data/node.ts";
import * as comparison from "../../diffusion/comparison/index.ts";
import * as dynamics from "../../diffusion/dynamics/index.ts";
import * as dynamicsNode from "../../diffusion/dynamics/node.ts";
import * as ema from "../../diffusion/ema/index.ts";
import * as emaNode from "../../diffusion/ema/node.ts";
import * as encoding from "../../diffusion/encoding/index.ts";
import * as features from "../../diffusion/features/index.ts";
import * as featuresNode from "../../diffusion/features/node.ts";
import * as diffusion from "../../diffusion/index.ts";
import * as interchange from "../../diffusion/interchange/index.ts";
import * as metrics from "../../diffusion/metrics/index.ts";
import * as metricsNode from "../../diffusion/metrics/node.ts";
import * as network from "../../diffusion/network/index.ts";
import * as diffusionNode from "../../diffusion/node.ts";
import * as presets from "../../diffusion/presets/index.ts";
import * as run from "../../diffusion/run/index.ts";
import * as runNode from "../../diffusion/run/node.ts";
import * as sample from "../../diffusion/sample/index.ts";
import * as sampleNode from "../../diffusion/sample/node.ts";
import * as settings from "../../diffusion/settings/index.ts";
import * as snapshot from "../../diffusion/snapshot/index.ts";
import * as snapshotNode from "../../diffusion/snapshot/node.ts";
import * as toy from "../../diffusion/toy/index.ts";
import * as toyNode from "../../diffusion/toy/node.ts";
import * as training from "../../diffusion/training/index.ts";
import * as verifyNode from "../../diffusion/verify/node.ts";
import * as engine from "../../engine/index.ts";
import * as io from "../../engine/io/index.ts";
import * as ioNode from "../../engine/io/node.ts";
import * as engineNode from "../../engine/node.ts";
import * as nn from "../../nn/index.ts";
import * as nnNode from "../../nn/node.ts";
import * as onnx from "../../onnx/index.ts";
import * as onnxNode from "../../onnx/node.ts";
import * as testing from "../../testing/index.ts";
import * as torch from "../../torch/index.ts";
import type { Rooms } from "./textPrograms.ts";

export const rooms: Rooms = {
  "evenkeel/engine": engine,
  "evenkeel/engine/node": engineNode,
  "evenkeel/engine/io": io,
  "evenkeel/engine/io/node": ioNode,
  "evenkeel/nn": nn,
  "evenkeel/testing": testing,
  "evenkeel/nn/node": nnNode,
  "evenkeel/onnx": onnx,
  "evenkeel/onnx/node": onnxNode,
  "evenkeel/torch": torch,
  "evenkeel/diffusion": diffusion,
  "evenkeel/diffusion/node": diffusionNode,
  "evenkeel/diffusion/checkpoint": checkpoint,
  "evenkeel/diffusion/data": data,
  "evenkeel/diffusion/data/node": dataNode,
  "evenkeel/diffusion/comparison": comparison,
  "evenkeel/diffusion/dynamics": dynamics,
  "evenkeel/diffusion/dynamics/node": dynamicsNode,
  "evenkeel/diffusion/ema": ema,
  "evenkeel/diffusion/ema/node": emaNode,
  "evenkeel/diffusion/encoding": encoding,
  "evenkeel/diffusion/features": features,
  "evenkeel/diffusion/features/node": featuresNode,
  "evenkeel/diffusion/interchange": interchange,
  "evenkeel/diffusion/metrics": metrics,
  "evenkeel/diffusion/metrics/node": metricsNode,
  "evenkeel/diffusion/network": network,
  "evenkeel/diffusion/presets": presets,
  "evenkeel/diffusion/run": run,
  "evenkeel/diffusion/run/node": runNode,
  "evenkeel/diffusion/sample": sample,
  "evenkeel/diffusion/sample/node": sampleNode,
  "evenkeel/diffusion/settings": settings,
  "evenkeel/diffusion/snapshot": snapshot,
  "evenkeel/diffusion/snapshot/node": snapshotNode,
  "evenkeel/diffusion/toy": toy,
  "evenkeel/diffusion/toy/node": toyNode,
  "evenkeel/diffusion/training": training,
  "evenkeel/diffusion/verify/node": verifyNode,
  "fast-check": fastCheck,
  "node:fs/promises": filePromises,
};
