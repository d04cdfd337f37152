import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { networkConfigFromReference } from "../../../diffusion/network/config.ts";
import { describeDenoiser } from "../../../diffusion/network/denoiser.ts";
import { classifierConfig, describeClassifier } from "../../../diffusion/metrics/classifier/network.ts";
import { describeScoreModel } from "../../../diffusion/toy/scoreModel.ts";
import { readCheckpoint } from "../../../diffusion/checkpoint/checkpoint.ts";
import { readNetwork } from "../../../diffusion/features/node/networkFile.ts";
import { listSnapshots } from "../../../diffusion/ema/node.ts";
import { readClassifier, readStatistics } from "../../../diffusion/metrics/node.ts";
import { readSnapshot } from "../../../diffusion/snapshot/node.ts";
import { readToySnapshot } from "../../../diffusion/toy/node.ts";
import { readNetworkPickle } from "../../../diffusion/interchange/networkPickle.ts";
import { parseSafetensors, serializeSafetensors } from "../../../engine/io/index.ts";
import { flattenParameters, type ParameterSpec } from "../../../nn/index.ts";
import { mutations as safetensorsMutations } from "../../engine/io/mutateFile.ts";
import { readPlainly } from "../../engine/io/plainReader.ts";
import { bytesOf, handMade } from "../../engine/io/safetensorsSamples.ts";
import { smallNetwork, smallOptions } from "../../diffusion/training/smallRun.ts";
import { mutateBytes, mutateJson, mutateText, pick, within } from "../mutate.ts";
import type { Mutation, Target } from "../target.ts";
import { diskFile } from "../../../engine/io/node.ts";

type Metadata = Readonly<Record<string, string>>;

/** A file of zeros with these arrays. */
function zeros(
  specs: Readonly<Record<string, { readonly shape: readonly number[] }>>,
  evenkeel: unknown,
  dtype: "F32" | "F64" = "F32",
): Uint8Array {
  const arrays = Object.entries(specs).map(([name, { shape }]) => {
    const length = shape.reduce((product, extent) => product * extent, 1);
    return [
      name,
      dtype === "F32"
        ? { dtype, shape, data: new Float32Array(length) }
        : { dtype, shape, data: new Float64Array(length) },
    ] as const;
  });
  return serializeSafetensors(Object.fromEntries(arrays), {
    metadata: { format: "pt", evenkeel: JSON.stringify(evenkeel) },
  });
}

type Parts = {
  readonly header: Record<string, unknown> & { readonly __metadata__: Metadata };
  readonly data: Uint8Array;
};

function openHeader(file: Uint8Array): Parts {
  const length = Number(Buffer.from(file).readBigUInt64LE(0));
  const header = JSON.parse(Buffer.from(file.subarray(8, 8 + length)).toString()) as Parts["header"];
  return { header, data: file.slice(8 + length) };
}

const closeHeader = ({ header, data }: Parts): Uint8Array =>
  handMade(new Uint8Array(Buffer.from(JSON.stringify(header))), data);

/** Changes what a file says of itself, under a key of its metadata, as JSON or as text. */
const changeMetadata: Mutation = within(
  openHeader,
  ({ header, data }, draw, other) => {
    const metadata = header.__metadata__;
    const keys = Object.keys(metadata);
    const key = draw(2) === 0 && keys.length > 0 ? pick(keys, draw) : "evenkeel";
    const text = String(metadata[key]);
    let changed = text;
    try {
      // In a list, as what was removed altogether has no text.
      changed = draw(5) === 0 ? "" : JSON.stringify([mutateJson(JSON.parse(text), draw)]).slice(1, -1);
    } catch {
      // Not JSON.
    }
    if (changed === "") changed = Buffer.from(mutateText(Buffer.from(text), draw, other)).toString();
    return { header: { ...header, __metadata__: { ...metadata, [key]: changed } }, data };
  },
  closeHeader,
);

const changeArrays: Mutation = within(
  openHeader,
  ({ header, data }, draw, other) =>
    draw(2) === 0
      ? { header: mutateJson(header, draw) as Parts["header"], data }
      : { header, data: mutateBytes(data, draw, other) },
  closeHeader,
);

/** Changes of the format itself, and of what the file says. */
const mutations: readonly Mutation[] = [
  changeMetadata,
  changeMetadata,
  changeArrays,
  ...Object.values(safetensorsMutations),
];

function headerTarget(
  name: string,
  sample: () => Uint8Array,
  read: (path: string) => Promise<unknown>,
  fileName = "x.safetensors",
): Target {
  return {
    name,
    samples: () => [sample()],
    mutations,
    read: async (file, place) => {
      const folder = place();
      const path = join(folder, fileName);
      writeFileSync(path, file);
      await read(path);
      return file.length;
    },
  };
}

const denoiser = flattenParameters<ParameterSpec>(describeDenoiser(smallNetwork));
const snapshot = (more: object = {}): Uint8Array =>
  zeros(denoiser, {
    version: 1,
    kind: "snapshot",
    network: smallNetwork,
    nimg: 1000,
    sigmaRel: 0.1,
    classNames: ["a", "b", "c", "d"],
    ...more,
  });
const classifier = classifierConfig({ imageChannels: 3, imageResolution: 8, classes: 2, channels: [2, 3] });

/** What a reading says of itself is what the rest of the program takes for granted. */
const isWhole = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

export const headerTargets: readonly Target[] = [
  headerTarget("snapshot", snapshot, async (path) => {
    const { nimg, sigmaRel, classNames, network } = await readSnapshot(path);
    assert.ok(isWhole(nimg), `nimg ${nimg}`);
    assert.ok(sigmaRel === null || (typeof sigmaRel === "number" && sigmaRel > 0), `sigmaRel ${String(sigmaRel)}`);
    assert.ok(
      classNames === null || (Array.isArray(classNames) && classNames.every((each) => typeof each === "string")),
      "classNames",
    );
    describeDenoiser(network);
  }),
  headerTarget(
    "average",
    snapshot,
    async (path) => {
      for (const { profile } of await listSnapshots(join(path, ".."))) assert.ok(profile.nimg > 0);
    },
    "network-snapshot-0000001-0.100.safetensors",
  ),
  headerTarget(
    "checkpoint",
    () =>
      zeros(
        { a: { shape: [2] } },
        { version: 1, kind: "checkpoint", nimg: 64, fixed: { options: smallOptions }, progress: { seconds: 1 } },
      ),
    async (path) => {
      const { nimg, fixed, progress } = await readCheckpoint(diskFile(path));
      assert.ok(isWhole(nimg), `nimg ${nimg}`);
      assert.equal(nimg, 64, "the number of images isn't that of the name");
      assert.ok(typeof fixed === "object" && (fixed as object | null) !== null, "fixed");
      assert.ok(typeof progress === "object" && (progress as object | null) !== null, "progress");
    },
    "training-state-0000000064.safetensors",
  ),
  headerTarget(
    "classifier",
    () =>
      zeros(flattenParameters<ParameterSpec>(describeClassifier(classifier)), {
        version: 1,
        kind: "classifier",
        config: classifier,
        classNames: ["a", "b"],
        data: { name: "x", fingerprint: "00" },
        training: { seed: 1 },
        heldOut: null,
      }),
    (path) => readClassifier(path),
  ),
  headerTarget(
    "statistics",
    () =>
      zeros(
        { mean: { shape: [2] }, covariance: { shape: [2, 2] } },
        {
          version: 1,
          kind: "featureStatistics",
          space: { name: "pixels", distanceName: "x", fingerprint: "00", dimension: 2 },
          count: 3,
          source: "x",
        },
        "F64",
      ),
    async (path) => {
      const { space, statistics } = await readStatistics(path);
      assert.equal(statistics.mean.length, space.dimension);
    },
  ),
  headerTarget(
    "toy",
    () => {
      const model = { dim: 4, layers: 1, sigmaData: 0.5 };
      return zeros(describeScoreModel(model), {
        version: 1,
        kind: "toy",
        iteration: 1,
        training: {
          cls: "A",
          model,
          batch: 4,
          learningRate: 0.1,
          referenceBatches: 1,
          noise: { kind: "logNormal", pMean: 0, pStd: 1 },
          strayShare: 0,
          weighting: "score",
          emaSigmaRel: 0.1,
          seed: 1,
        },
      });
    },
    (path) => readToySnapshot(path),
  ),
  headerTarget(
    "featureNetwork",
    () =>
      zeros(
        { "c.weight": { shape: [2, 3, 2, 2] }, "c.bias": { shape: [2] } },
        {
          version: 1,
          kind: "feature network",
          source: "x",
          network: {
            size: 2,
            input: "in",
            steps: [
              {
                kind: "conv",
                name: "c",
                input: "in",
                stride: [1, 1],
                padding: [
                  [0, 0],
                  [0, 0],
                ],
                groups: 1,
              },
            ],
            output: "c",
            dimension: 2,
          },
        },
      ),
    (path) => readNetwork(path, "x"),
  ),
];

export const safetensorsTarget: Target = {
  name: "safetensors",
  samples: () => [
    snapshot().slice(),
    serializeSafetensors(
      {
        a: { dtype: "F32", shape: [2, 2], data: new Float32Array(4) },
        b: { dtype: "U8", shape: [3], data: new Uint8Array(3) },
      },
      { metadata: { format: "pt", x: '{"a":[1]}' } },
    ),
  ],
  mutations: [...Object.values(safetensorsMutations), changeMetadata, changeArrays],
  read: (file) => {
    const parsed = parseSafetensors(file);
    const tensors = [...parsed.tensors()];
    const expected = readPlainly(file);
    assert.ok(expected !== undefined, "accepted what the format forbids");
    assert.deepEqual(parsed.metadata, expected.metadata);
    assert.deepEqual(tensors.map(({ name }) => name).sort(), [...expected.tensors.keys()].sort());
    for (const { name, dtype, data } of tensors) {
      const same = expected.tensors.get(name);
      assert.equal(dtype, same?.dtype);
      assert.ok(same !== undefined && Buffer.compare(bytesOf(data), same.bytes) === 0, `bytes of ${name}`);
    }
    return file.length;
  },
};

const pickleUrl = (name: string): URL => new URL(name, import.meta.url);
/** Letters of opcodes of all protocols: a byte replaced by one is more often read on than refused. */
const opcodes = Buffer.from(
  "(.012FIJKLMNPQRSTUVXabcdeghijlopqrstu}])G\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x93\x94\x95\x96",
  "latin1",
);

export const pickleTarget: Target = {
  name: "pickle",
  samples: () =>
    [0, 1, 2, 3, 4, 5]
      .map((protocol) => `../../diffusion/interchange/samples/network-protocol${protocol}.pkl`)
      .concat("../../reference/phema_chain/network-snapshot-0000008-0.050.pkl")
      .map((name) => new Uint8Array(readFileSync(pickleUrl(name)))),
  mutations: [
    (file, draw) => {
      const damaged = file.slice();
      for (let n = 1 + draw(3); n > 0; n--) damaged[draw(damaged.length)] = opcodes[draw(opcodes.length)] ?? 0;
      return damaged;
    },
    mutateBytes,
    (file, draw, other) => {
      const text = Buffer.from(Buffer.from(file).toString("latin1"));
      return new Uint8Array(Buffer.from(Buffer.from(mutateText(text, draw, other)).toString(), "latin1"));
    },
  ],
  read: (file) => {
    const { weights, initKwargs } = readNetworkPickle(file, "x.pkl");
    for (const { data, shape } of weights.values()) {
      assert.equal(
        data.length,
        shape.reduce((product, extent) => product * extent, 1),
      );
    }
    describeDenoiser(networkConfigFromReference(initKwargs));
    return file.length;
  },
};
