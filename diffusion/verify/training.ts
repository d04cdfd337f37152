import * as z from "zod";
import {
  compileStep,
  createState,
  type Device,
  EvenkeelError,
  reshape,
  scalar,
  type State,
  tensor,
  type Tensor,
} from "../../engine/index.ts";
import { toFloat32 } from "../../engine/io/index.ts";
import { adamCorrections, adamMoments, learningRate, type NamedParameters } from "../../nn/index.ts";
import { formatSigmaRel, powerFunctionUpdateRates } from "../ema/index.ts";
import { noiseLevels } from "../network/index.ts";
import { type StepOptions, type StepSchedule, trainingStep, type TrainingState } from "../training/index.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import type { Fixture } from "./fixture.ts";
import { labelRows } from "./inputs.ts";
import type { Kind } from "./kind.ts";
import {
  edm2,
  type FixtureNetwork,
  type LossOptions,
  networkOf,
  networkUnder,
  refuseDropout,
  specsOf,
} from "./networkOptions.ts";

/** The learning rate is computed in float64 in either program. */
const rateTolerance = 1e-9;

const count = z.number().int().positive();

/** A run's options with the reference's defaults. Images say how many steps of how many there are. */
const trainingOptions = z.looseObject({
  batch: count.optional(),
  steps: count.optional(),
  lr: z
    .strictObject({
      ref_lr: z.number().default(0.01),
      ref_batches: z.number().default(70_000),
      rampup_Mimg: z.number().default(10),
    })
    .prefault({}),
  adam: z
    .strictObject({ beta1: z.number().default(0.9), beta2: z.number().default(0.99), eps: z.number().default(1e-8) })
    .prefault({}),
  ema_stds: z.array(z.number()).default([0.05, 0.1]),
  loss: edm2.loss.prefault({}),
  loss_scaling: z.number().positive().default(1),
});

/** A run of training, as its file describes it. */
type Run = {
  readonly options: StepOptions;
  readonly batch: number;
  readonly steps: number;
  readonly rate: (nimg: number) => number;
  readonly sigmaRels: readonly number[];
};

function describeRun(fixture: Fixture): Run {
  const { batch, steps, lr, adam, ema_stds, loss, loss_scaling, ...network } = fixture.metadata(
    "config",
    trainingOptions,
  );
  const schedule = { reference: lr.ref_lr, referenceBatches: lr.ref_batches, rampUpMimg: lr.rampup_Mimg };
  const [imageSteps, imageBatch] = fixture.shapeOf("steps/images") ?? [];
  const size = batch ?? imageBatch ?? missing("batch");
  return {
    options: {
      network: networkForLoss(fixture, network, loss),
      noise: loss.noise,
      adam: { beta1: adam.beta1, beta2: adam.beta2, epsilon: adam.eps },
      lossScaling: loss_scaling,
      labelDropout: 0,
      seed: 0,
    },
    batch: size,
    steps: steps ?? imageSteps ?? missing("steps"),
    rate: (nimg) => learningRate(nimg, size, schedule),
    sigmaRels: ema_stds,
  };
}

function missing(option: string): never {
  throw new EvenkeelError("file", `neither option ${option} nor steps/images say how many there are.`);
}

/** @throws EvenkeelError `file` if the network and its loss are for data of different standard deviations. */
function networkForLoss(fixture: Fixture, options: Readonly<Record<string, unknown>>, { sigmaData }: LossOptions) {
  const network = networkOf(fixture, "init/", { sigma_data: sigmaData, ...options });
  if (network.sigmaData !== sigmaData) {
    throw new EvenkeelError(
      "file",
      `the network is for data of standard deviation ${network.sigmaData}, its loss for ${sigmaData}.`,
    );
  }
  return network;
}

/** The inputs of one step: row `step` of what the file has for all. */
function stepInputs(
  fixture: Fixture,
  { batch, steps, options }: Run,
): (step: number) => { images: Tensor; normals: Tensor; noise: Tensor; labels: Tensor | null } {
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
  const hasLabels = labelDim > 0 && fixture.has("steps/class_labels");
  const labelVectors = hasLabels ? labelRows(fixture.stored("steps/class_labels"), labelDim, steps * batch) : null;
  const size = batch * labelDim;
  return (step) => ({
    images: images(step),
    noise: noise(step),
    normals: normals(step),
    labels:
      labelVectors === null
        ? null
        : tensor(labelVectors.subarray(step * size, (step + 1) * size), { shape: [batch, labelDim] }),
  });
}

/** What the steps report, one number each. */
type Course = { readonly loss: number[]; readonly gradientNorm: number[] };

async function train(
  run: Run,
  specs: FixtureNetwork["specs"],
  inputsOf: ReturnType<typeof stepInputs>,
  state: State<TrainingState>,
): Promise<Course> {
  const { options, batch, sigmaRels } = run;
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
      return trainingStep(options, specs, before, { images, labels, sigma, noise }, schedule);
    },
    { device: state.device },
  );
  const course: Course = { loss: [], gradientNorm: [] };
  try {
    for (let index = 0; index < run.steps; index++) {
      const nimg = index * batch;
      const corrections = adamCorrections(index + 1, options.adam);
      const { images, normals, noise, labels } = inputsOf(index);
      const report = await step(state, images, normals, noise, labels, {
        rate: scalar(run.rate(nimg)),
        corrections: { first: scalar(corrections.first), second: scalar(corrections.second) },
        updateRates: powerFunctionUpdateRates(sigmaRels, nimg + batch, batch),
      });
      const losses = [...(await report.loss.data())];
      course.loss.push(losses.reduce((sum, loss) => sum + loss, 0) / batch);
      // The file has the norm of what Adam is given.
      course.gradientNorm.push((await report.gradientNorm.item()) * options.lossScaling);
    }
  } finally {
    step.dispose();
  }
  return course;
}

function averageGroup(sigmaRel: number): string {
  return `ema-${formatSigmaRel(sigmaRel)}`;
}

async function checkTraining(fixture: Fixture, checks: Checks, device: Device): Promise<void> {
  const run = describeRun(fixture);
  const { network } = run.options;
  const found = new Comparison(fixture, checks);
  fixture.inputs("steps/", ["images", "rnd_normal", "noise", "class_labels"]);
  fixture.inputs("init/", Object.keys(specsOf(network, "whole")));
  if (found.has("steps/lr")) {
    fixture.requireLength("steps/lr", run.steps);
    const rates = Array.from({ length: run.steps }, (_, index) => run.rate(index * run.batch));
    found.values("steps/lr", rates, "output", rateTolerance);
  }
  fixture.requireGroups(/^ema-/, run.sigmaRels.map(averageGroup));
  const hasCourse = found.has("steps/loss_mean", "steps/loss_objective", "steps/grad_norm");
  if (!hasCourse && !fixture.hasGroup("final/") && !fixture.hasGroup("ema-")) return;

  refuseDropout(network);
  const { weights, buffers, specs } = networkUnder(fixture, "init/", network, "whole");
  const inputsOf = stepInputs(fixture, run);
  const state = await createState<TrainingState>(
    { weights, buffers, moments: adamMoments(weights), averages: run.sigmaRels.map(() => weights) },
    device,
  );
  let course: Course;
  let end: Pick<TrainingState, "weights" | "buffers" | "averages">;
  try {
    course = await train(run, specs, inputsOf, state);
    end = await state.read(({ weights, buffers, averages }) => ({ weights, buffers, averages }));
  } finally {
    state.dispose();
  }

  const elements = network.unet.imageChannels * network.unet.imageResolution ** 2;
  const objectives = course.loss.map((loss) => loss * elements);
  found.values("steps/loss_mean", course.loss, "output");
  found.values("steps/loss_objective", objectives, "output");
  found.values("steps/grad_norm", course.gradientNorm, "output");
  const compareAll = async (group: string, trained: NamedParameters): Promise<void> => {
    for (const [name, value] of Object.entries({ ...trained, ...end.buffers })) {
      await found.tensor(`${group}/${name}`, value, "output");
    }
  };
  await checks.part("", () => compareAll("final", end.weights));
  for (const [i, sigmaRel] of run.sigmaRels.entries()) {
    await checks.part("", () => compareAll(averageGroup(sigmaRel), end.averages[i] ?? {}));
  }
}

export const training: Kind = {
  prefix: "edm2_training",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 1e-5, scalar: 1e-6 },
  check: checkTraining,
};
