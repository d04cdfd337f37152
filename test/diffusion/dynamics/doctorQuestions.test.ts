/** What is normal for runs with another target, other noise or another schedule isn't told as if it were wrong; the same else is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { examineRun, type Finding, type LossPoint } from "../../../diffusion/dynamics/index.ts";
import { networkConfig } from "../../../diffusion/network/index.ts";
import type { TrainingOptions } from "../../../diffusion/training/index.ts";
import { rateSchedules } from "../../../nn/index.ts";
import { smallNetwork, smallOptions } from "../training/smallRun.ts";

/** A network whose learning rate and sizes are as they should be: nothing else is told of it. */
const usual: TrainingOptions = {
  ...smallOptions,
  network: networkConfig({ unet: { ...smallNetwork.unet, modelChannels: 64, channelsPerHead: 32 } }),
};
const duration = 20_000;

function findingsOf(training: TrainingOptions, errors: readonly number[], check: Finding["check"]): readonly Finding[] {
  const losses = errors.map(
    (error, i): LossPoint => ({ nimg: ((i + 1) * duration) / errors.length, loss: error, error }),
  );
  const run = { training, duration, nimg: duration, dynamics: null, losses, stored: [], sampleEma: null };
  return examineRun(run).filter((finding) => finding.check === check);
}

const falling = Array.from({ length: 20 }, (_, i) => 1 / (1 + i / 4));
const rising = falling.map((error, i) => (i < 10 ? error : error + (i - 10) / 20));

test("where noise levels are learned, the mean over them may rise; NaN may not be", () => {
  const learned: TrainingOptions = { ...usual, noise: { ...usual.noise, kind: "infonoise" } };
  assert.match(findingsOf(usual, rising, "loss")[0]?.what ?? "", /rises again/);
  assert.deepEqual(findingsOf(learned, rising, "loss"), []);
  assert.match(findingsOf(learned, [...falling, NaN], "loss")[0]?.what ?? "", /not finite/);
});

test("under heavy tails one image that weighs much isn't divergence; a rise is", () => {
  const heavy: TrainingOptions = { ...usual, network: { ...usual.network, noiseDf: 3 } };
  const spiked = falling.map((error, i) => (i === 18 ? 3 : error));
  assert.match(findingsOf(usual, spiked, "loss")[0]?.what ?? "", /rises again/);
  assert.deepEqual(findingsOf(heavy, spiked, "loss"), []);
  assert.match(findingsOf(heavy, rising, "loss")[0]?.what ?? "", /rises again/);
});

test("a rate that falls by a schedule of its own falls; one that was to stay is noted", () => {
  const late: TrainingOptions = { ...usual, learningRate: { ...usual.learningRate, referenceBatches: 1e6 } };
  assert.match(findingsOf(late, falling, "rate")[0]?.what ?? "", /falls only after/);
  for (const schedule of rateSchedules.slice(1)) {
    const findings = findingsOf(
      { ...late, learningRate: { ...late.learningRate, schedule, duration } },
      falling,
      "rate",
    );
    const severities = findings.map(({ severity }) => severity);
    assert.deepEqual(severities, schedule === "constant" ? ["note"] : [], `${schedule}: ${JSON.stringify(findings)}`);
  }
});
