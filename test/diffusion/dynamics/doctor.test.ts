import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type Dynamics,
  type DynamicsSample,
  examineDynamics,
  examineRun,
  type Finding,
  type ReadingKind,
  type RunRecord,
} from "../../../diffusion/dynamics/index.ts";
import { createDevice, type Device } from "../../../engine/index.ts";
import { mpSum } from "../../../nn/index.ts";
import { watchBroken } from "./breakableNetwork.ts";

let device: Device;
let healthy: Dynamics;
before(async () => {
  device = await createDevice("wasm", { wasm: { threads: 1 } });
  healthy = await watchBroken(device, {});
});
after(() => device.dispose());

/** The finding of a check whose words are these; fails if there is none. */
function found(findings: readonly Finding[], check: Finding["check"], words: RegExp): Finding {
  const finding = findings.find((each) => each.check === check && words.test(`${each.what} ${each.meaning}`));
  assert.ok(finding !== undefined, `no ${check} finding says ${words.source}; there are ${JSON.stringify(findings)}`);
  assert.ok(finding.advice.length > 0);
  return finding;
}

test("a sound network has no findings", () => {
  assert.deepEqual(examineDynamics(healthy), []);
});

test("a missing 1/sqrt(fan_in) is named, with the layer where it begins", async () => {
  const findings = examineDynamics(await watchBroken(device, { withoutFanIn: true }));
  const finding = found(findings, "activations", /factor 1\/sqrt\(fan_in\) is missing/);
  assert.equal(finding.severity, "error");
  assert.match(finding.what, /dec\.8x8_block0\.conv_res0 has magnitude 1[0-4](\.\d)?, and sqrt\(fan_in\) is 12/);
  assert.match(finding.where[0] ?? "", /^dec\.8x8_block0\.conv_res0/);
  // Eighteen such layers later nothing is left of it.
  assert.match(found(findings, "activations", /not finite/).meaning, /follows from the cause above/);
  assert.equal(findings.filter(({ check }) => check === "activations").length, 2);
});

test("a sum whose t and normalizer don't belong together is named", async () => {
  const wrongT = (main: Parameters<typeof mpSum>[0], branch: Parameters<typeof mpSum>[0]) =>
    // Weights of t = 0.3 over the normalizer of t = 0.5.
    main.multiply(0.7).add(branch.multiply(0.3)).divide(Math.hypot(0.5, 0.5));
  const grows = found(
    examineDynamics(await watchBroken(device, { sum: wrongT })),
    "activations",
    /t and the normalizer/,
  );
  assert.equal(grows.severity, "error");
  assert.match(grows.what, /main path grows by a factor of 1\.\d+ from block to block/);
  const plain = (main: Parameters<typeof mpSum>[0], branch: Parameters<typeof mpSum>[0]) => main.add(branch);
  found(examineDynamics(await watchBroken(device, { sum: plain })), "activations", /grows by a factor of 1\.[3-6]/);
  const halves = (main: Parameters<typeof mpSum>[0], branch: Parameters<typeof mpSum>[0]) =>
    main.multiply(0.7).add(branch.multiply(0.3));
  found(examineDynamics(await watchBroken(device, { sum: halves })), "activations", /shrinks by a factor of 0\.[78]/);
});

test("weights without forced normalization are named, and that they grow", async () => {
  const findings = examineDynamics(await watchBroken(device, { withoutForcedNorm: true, rate: 0.1 }, 30));
  const finding = found(findings, "weights", /Forced normalization does not take place/);
  assert.equal(finding.severity, "error");
  assert.match(finding.what, /^21 of 21 weights are not of unit magnitude when a step begins, and \d+ of them grow$/);
});

/** The sound run, with every reading of a kind put through `change`. */
function withReadings(kind: ReadingKind, change: (value: number, index: number) => number | null): Dynamics {
  const samples = healthy.samples.map((sample) => ({
    ...sample,
    readings: { ...sample.readings, [kind]: sample.readings[kind].map((value, i) => change(value ?? NaN, i)) },
  }));
  return { ...healthy, samples };
}

test("steps that are far too large are named, and how bad they are", async () => {
  // How far such a run goes astray is left to chance: every rounding of it grows.
  const size = /a step changes \d+ of 21 weights by up to \d+(\.\d+)?% of their magnitude/;
  assert.match(
    found(examineDynamics(await watchBroken(device, { rate: 0.7 })), "updates", size).advice,
    /Lower the learning rate/,
  );
  const severity = (update: number): string =>
    found(examineDynamics(withReadings("update", () => update)), "updates", size).severity;
  assert.deepEqual([0.06, 0.19, 0.21, 2].map(severity), ["warning", "warning", "error", "error"]);
});

test("outputs that are not finite are named before anything else about activations", () => {
  const findings = examineDynamics(withReadings("activation", (value, i) => (i >= 4 ? null : value)));
  const finding = found(findings, "activations", /^17 of 21 layers gave outputs that are not finite /);
  assert.equal(finding.where[0], "dec.8x8_block2.conv_res0");
  assert.equal(findings.filter(({ check }) => check === "activations").length, 1);
});

test("gains that stay at zero, and weights that no gradient reaches", () => {
  assert.match(
    found(examineDynamics(withReadings("gain", () => 0)), "gains", /still exactly zero/).where.join(),
    /^unet\.out_gain|out_gain$/,
  );
  found(examineDynamics(withReadings("gain", () => 40)), "gains", /gains are above 10/);
  const still = withReadings("update", (value, i) => (i === 3 ? 0 : value));
  assert.deepEqual(found(examineDynamics(still), "updates", /1 weights don't move/).where, [
    "dec.8x8_block1.conv_res1",
  ]);
});

test("effective learning rates that differ between layers, or drift from the schedule", () => {
  const spread = withReadings("update", (value, i) => (i === 0 ? value / 40 : value));
  const finding = found(
    examineDynamics(spread),
    "updates",
    /effective learning rates differ between layers by a factor of \d+/,
  );
  assert.match(finding.where[1] ?? "", /^dec\.8x8_block0\.conv_res0/);
  const samples = healthy.samples.map((sample, k): DynamicsSample => {
    const update = sample.readings.update.map(() => 0.01 * 0.5 ** k);
    return { ...sample, readings: { ...sample.readings, update } };
  });
  found(examineDynamics({ ...healthy, samples }), "updates", /drift away from the schedule, falling to/);
});

test("rules for matrices may leave vectors at another rate, and no matrix", () => {
  // As if the third layer had one output.
  const ofVector = (i: number): boolean => i === 2;
  const { names } = healthy.header;
  const weightShapes = names.weightShapes.map((shape, i) => (ofVector(i) ? [1, 64] : shape));
  const training = { ...healthy.header.training, optimizer: { name: "muon" } as const };
  const underMuon = (isSlow: (i: number) => boolean): readonly Finding[] => {
    const { samples } = withReadings("update", (value, i) => (isSlow(i) ? value / 40 : value));
    return examineDynamics({ header: { ...healthy.header, names: { ...names, weightShapes }, training }, samples });
  };
  assert.deepEqual(underMuon(ofVector), []);
  found(
    underMuon((i) => i === 0),
    "updates",
    /effective learning rates differ between layers/,
  );
});

/** The sound run with attention in one layer. */
function withAttention(entropyMin: number, logit: number): Dynamics {
  const samples = healthy.samples.map((sample) => ({
    ...sample,
    readings: { ...sample.readings, entropy: [0.8], entropyMin: [entropyMin], logit: [logit] },
  }));
  const names = { ...healthy.header.names, attention: ["dec.8x8_block0"] };
  return { header: { ...healthy.header, names }, samples };
}

test("attention that is saturated, or not cosine attention", () => {
  // Heads of four channels: cosine attention keeps logits within 2.
  assert.deepEqual(examineDynamics(withAttention(0.7, 1.99)), []);
  found(
    examineDynamics(withAttention(0.01, 1.9)),
    "attention",
    /saturated in 1 of 1 layers: its entropy is down to 1%/,
  );
  found(examineDynamics(withAttention(0.7, 2.2)), "attention", /logits of attention reach 2\.2.*keeps them within 2/);
});

const record = (losses: RunRecord["losses"], changes: Partial<RunRecord> = {}): RunRecord => ({
  training: null,
  duration: 40_000,
  nimg: 40_000,
  dynamics: healthy,
  losses,
  stored: [],
  sampleEma: null,
  ...changes,
});
const curve = (error: (share: number) => number | null): NonNullable<RunRecord["losses"]> =>
  Array.from({ length: 40 }, (_, i) => ({ nimg: 1000 * (i + 1), loss: error(i / 39), error: error(i / 39) }));

test("a loss that falls is sound; one that doesn't, rises or isn't finite is an error", () => {
  assert.deepEqual(examineRun(record(curve((share) => 0.3 + 0.7 * Math.exp(-5 * share)))), []);
  found(examineRun(record(curve(() => 1))), "loss", /the error does not fall: 1 at the start, 1 after 40,000 images/);
  found(examineRun(record(curve((share) => 1 - share + 2 * share ** 4))), "loss", /the error rises again/);
  const broken = curve((share) => (share === 1 ? null : 1 - share));
  found(examineRun(record(broken)), "loss", /not finite around 40,000 images/);
  const counted = curve((share) => (share === 1 ? NaN : 1 - share));
  found(examineRun(record(counted)), "loss", /not finite around 40,000 images/);
});

test("gradients that are not finite, vanish or jump", () => {
  const withNorms = (norm: (k: number) => number, nonFiniteGradients = 0): Dynamics => ({
    ...healthy,
    samples: healthy.samples.map((sample, k) => ({ ...sample, gradientNorm: norm(k), nonFiniteGradients })),
  });
  found(examineDynamics(withNorms(() => 1, 3)), "gradients", /elements of gradients were not finite/);
  found(examineDynamics(withNorms((k) => (k > 5 ? 0 : 1))), "gradients", /the gradient is zero in/);
  const last = healthy.samples.length - 1;
  found(examineDynamics(withNorms((k) => (k === last ? 50 : 1))), "gradients", /jump above 20 times/);
});

test("settings against the paper's: rate, decay, ramp, swapped balances, averages", () => {
  const { training } = healthy.header;
  const unet = { ...training.network.unet, modelChannels: 192 };
  const findings = examineRun(
    record(null, {
      training: {
        ...training,
        network: { ...training.network, unet: { ...unet, resBalance: 0.7 } },
        learningRate: { reference: 0.2, referenceBatches: 0, rampUpMimg: 0.03 },
        emaSigmaRels: [0.1],
      },
    }),
  );
  found(findings, "rate", /the learning rate 0\.2 is 20 times what the paper's scaling gives for 192 channels, 0\.01/);
  found(findings, "rate", /the learning rate never falls/);
  found(findings, "rate", /rises over 3\.0e\+4 images/);
  found(findings, "rate", /resBalance is 0\.7.*swapped/);
  found(findings, "averages", /one length of average is stored/);
  assert.ok(findings.every(({ severity }) => severity === "warning"));
  // Plain weights: 2e-4 at 192 channels and twelve times that at 16, within a factor of ten.
  const plain = (modelChannels: number, reference: number): boolean =>
    examineRun(
      record(null, {
        training: {
          ...training,
          network: { ...training.network, unet: { ...unet, modelChannels, weightNorm: false, forcedNorm: false } },
          learningRate: { ...training.learningRate, reference },
        },
      }),
    ).some(({ what }) => /paper's scaling/.test(what));
  assert.deepEqual(
    [plain(192, 0.001), plain(192, 0.003), plain(16, 0.003), plain(16, 0.012), plain(16, 0.03)],
    [false, true, false, false, true],
  );
  const sound = {
    ...training,
    network: { ...training.network, unet },
    learningRate: { reference: 0.01, referenceBatches: 1000, rampUpMimg: 0 },
  };
  assert.deepEqual(examineRun(record(null, { training: sound })), []);
});

test("averages that the stored ones can't make, and runs without a record", () => {
  const { training } = healthy.header;
  const network = { ...training.network, unet: { ...training.network.unet, modelChannels: 48 } };
  const sound = { ...training, network, emaSigmaRels: [0.05, 0.1] };
  const stored = [20_000, 40_000].map((nimg) => ({ kind: "power", nimg, sigmaRel: 0.1 }) as const);
  const findings = examineRun(record(null, { training: sound, dynamics: null, stored, sampleEma: 0.02 }));
  found(findings, "averages", /an average of length 0\.02 can't be made well from the 2 stored times/);
  assert.equal(found(findings, "run", /no record of its dynamics/).severity, "note");
  const one = [{ kind: "power", nimg: 2000, sigmaRel: 0.1 }] as const;
  const lone = (duration: number): boolean =>
    examineRun(record(null, { training: sound, duration, nimg: duration, stored: one, sampleEma: 0.1 })).some(
      ({ what }) => what === "there is one snapshot",
    );
  // A run of so few images can't have more of them.
  assert.deepEqual([lone(1001), lone(1000), lone(128)], [true, false, false]);
});
