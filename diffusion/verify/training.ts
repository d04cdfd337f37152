import { z } from "zod";
import {
  compileStep,
  createState,
  type Device,
  EvenkeelError,
  reshape,
  scalar,
  type State,
  type Tensor,
  tensor,
  toFloat32,
} from "../../engine/index.ts";
import { adamCorrections, adamMoments, learningRate, type NamedParameters } from "../../nn/index.ts";
import { formatSigmaRel, powerFunctionUpdateRates } from "../ema/index.ts";
import { noiseLevels } from "../network/index.ts";
import { type StepOptions, type StepSchedule, trainingStep, type TrainingState } from "../training/index.ts";
import type { Checks } from "./checks.ts";
import type { Fixture } from "./fixture.ts";
import type { Kind } from "./kind.ts";
import { type FixtureNetwork, lossSchema, networkForLoss, networkUnder } from "./networkOptions.ts";

/** The learning rate is computed in float64 in either program. */
const rateTolerance = 1e-9;

const trainingOptions = z.looseObject({
  batch: z.number().int().positive(),
  steps: z.number().int().positive(),
  lr: z.strictObject({ ref_lr: z.number(), ref_batches: z.number(), rampup_Mimg: z.number() }),
  adam: z.strictObject({ beta1: z.number(), beta2: z.number(), eps: z.number() }),
  ema_stds: z.array(z.number()),
  loss: lossSchema,
  loss_scaling: z.number().positive().default(1),
});

/** A run of training, as its file describes it. */
type Run = {
  readonly options: StepOptions;
  readonly batch: number;
  readonly steps: number;
  readonly rate: (nimg: number) => number;
  readonly sigmaRels: readonly number[];
  readonly network: FixtureNetwork;
};

function describeRun(fixture: Fixture): Run {
  const { batch, steps, lr, adam, ema_stds, loss, loss_scaling, ...network } = fixture.metadata(
    "config",
    trainingOptions,
  );
  const config = networkForLoss(network, loss);
  const schedule = { reference: lr.ref_lr, referenceBatches: lr.ref_batches, rampUpMimg: lr.rampup_Mimg };
  return {
    options: {
      network: config,
      noise: loss.noise,
      adam: { beta1: adam.beta1, beta2: adam.beta2, epsilon: adam.eps },
      lossScaling: loss_scaling,
      labelDropout: 0,
      seed: 0,
    },
    batch,
    steps,
    rate: (nimg) => learningRate(nimg, batch, schedule),
    sigmaRels: ema_stds,
    network: networkUnder(fixture, "init/", config),
  };
}

/** The inputs of one step: row `step` of what the file has for all. */
function stepInputs(
  fixture: Fixture,
  run: Run,
): (step: number) => { images: Tensor; normals: Tensor; noise: Tensor; labels: Tensor | null } {
  const { batch, steps, options } = run;
  const { imageChannels, imageResolution, labelDim } = options.network.unet;
  const imageShape = [batch, imageChannels, imageResolution, imageResolution];
  const rows = (name: string, shape: readonly number[]): ((step: number) => Tensor) => {
    const stored = fixture.stored(`steps/${name}`);
    const size = shape.reduce((product, extent) => product * extent, 1);
    const data = toFloat32(stored);
    if (data.length !== steps * size) {
      throw new EvenkeelError(
        "file",
        `steps/${name} is [${stored.shape.join(", ")}], expected ${steps} times [${shape.join(", ")}].`,
      );
    }
    return (step) => tensor(data.subarray(step * size, (step + 1) * size), { shape });
  };
  const [images, noise] = [rows("images", imageShape), rows("noise", imageShape)];
  const normals = rows("rnd_normal", [batch]);
  const labels = labelDim > 0 ? rows("class_labels", [batch, labelDim]) : null;
  return (step) => ({
    images: images(step),
    noise: noise(step),
    normals: normals(step),
    labels: labels?.(step) ?? null,
  });
}

/** What the steps report, one number each. */
type Course = { readonly loss: number[]; readonly gradientNorm: number[]; readonly rate: number[] };

async function train(run: Run, inputsOf: ReturnType<typeof stepInputs>, state: State<TrainingState>): Promise<Course> {
  const { options, batch, network, sigmaRels } = run;
  const step = compileStep(
    (
      before: TrainingState,
      images: Tensor,
      normals: Tensor,
      noise: Tensor,
      labels: Tensor | null,
      schedule: StepSchedule,
    ) => {
      const sigma = noiseLevels(reshape(normals, [batch]), options.noise);
      return trainingStep(options, network.specs, before, { images, labels, sigma, noise }, schedule);
    },
    { device: state.device },
  );
  const course: Course = { loss: [], gradientNorm: [], rate: [] };
  try {
    for (let index = 0; index < run.steps; index++) {
      const nimg = index * batch;
      const rate = run.rate(nimg);
      const corrections = adamCorrections(index + 1, options.adam);
      const { images, normals, noise, labels } = inputsOf(index);
      const report = await step(state, images, normals, noise, labels, {
        rate: scalar(rate),
        corrections: { first: scalar(corrections.first), second: scalar(corrections.second) },
        updateRates: powerFunctionUpdateRates(sigmaRels, nimg + batch, batch),
      });
      const losses = [...(await report.loss.data())];
      course.loss.push(losses.reduce((sum, loss) => sum + loss, 0) / batch);
      // The file has the norm of what Adam is given.
      course.gradientNorm.push((await report.gradientNorm.item()) * options.lossScaling);
      course.rate.push(rate);
    }
  } finally {
    step.dispose();
  }
  return course;
}

async function checkTraining(fixture: Fixture, checks: Checks, device: Device): Promise<void> {
  const run = describeRun(fixture);
  const { weights, buffers, specs } = run.network;
  const inputsOf = stepInputs(fixture, run);
  const state = await createState<TrainingState>(
    { weights, buffers, moments: adamMoments(weights), averages: run.sigmaRels.map(() => weights) },
    device,
  );
  let course: Course;
  let end: TrainingState;
  try {
    course = await train(run, inputsOf, state);
    end = await state.read();
  } finally {
    state.dispose();
  }

  const { imageChannels, imageResolution } = run.options.network.unet;
  const elements = imageChannels * imageResolution ** 2;
  checks.values("steps/lr", course.rate, fixture.stored("steps/lr"), "output", rateTolerance);
  checks.values("steps/loss_mean", course.loss, fixture.stored("steps/loss_mean"), "output");
  const objectives = course.loss.map((loss) => loss * elements);
  checks.values("steps/loss_objective", objectives, fixture.stored("steps/loss_objective"), "output");
  checks.values("steps/grad_norm", course.gradientNorm, fixture.stored("steps/grad_norm"), "output");

  const compareAll = async (group: string, trained: NamedParameters): Promise<void> => {
    for (const name of Object.keys(specs)) {
      const value = trained[name];
      // A file may leave out fixed features.
      if (value === undefined && !fixture.has(`${group}/${name}`)) continue;
      await checks.tensor(
        `${group}/${name}`,
        value ?? (end.buffers[name] as Tensor),
        fixture.stored(`${group}/${name}`),
        "output",
      );
    }
  };
  await checks.part("", () => compareAll("final", end.weights));
  for (const [i, sigmaRel] of run.sigmaRels.entries()) {
    await checks.part("", () => compareAll(`ema-${formatSigmaRel(sigmaRel)}`, end.averages[i] ?? {}));
  }
}

export const training: Kind = {
  prefix: "edm2_training",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 1e-5, scalar: 1e-6 },
  check: checkTraining,
};
