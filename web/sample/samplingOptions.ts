/** How networks are sampled, as the form shows it: what each option is, in a line, and where it is from. */
import type { GuidanceChoice } from "../worker/studyMessages.ts";
import type { Sampling } from "./sampleState.ts";

/** An option that is a number. */
export type NumberOption = {
  readonly name: "count" | "seed" | "steps" | "sigmaMin" | "sigmaMax" | "rho" | "sChurn" | "sMin" | "sMax" | "sNoise";
  readonly title: string;
  readonly about: string;
  readonly source: string;
  readonly min: number;
  readonly max?: number;
  readonly isWhole?: boolean;
};

const edm = "Karras et al. 2022 (EDM)";

export const imageOptions: readonly NumberOption[] = [
  {
    name: "count",
    title: "Images",
    about: "How many, each from noise of its own.",
    source: "the lab",
    min: 1,
    max: 64,
    isWhole: true,
  },
  {
    name: "seed",
    title: "Seed",
    about: "Of the first image; the others count on. The same seed gives the same noise.",
    source: "Salmon et al. 2011 (counter-based random numbers)",
    min: 0,
    isWhole: true,
  },
];

export const stepOptions: readonly NumberOption[] = [
  {
    name: "steps",
    title: "Steps",
    about: "Noise levels on the way; Heun's rule asks the network twice in each but the last.",
    source: `${edm}, Algorithm 1`,
    min: 1,
    max: 128,
    isWhole: true,
  },
  {
    name: "sigmaMax",
    title: "Highest noise",
    about: "Noise level sigma at which sampling starts.",
    source: `${edm}, Eq. 5`,
    min: 0.01,
  },
  {
    name: "sigmaMin",
    title: "Lowest noise",
    about: "The last noise level before 0.",
    source: `${edm}, Eq. 5`,
    min: 0.0001,
  },
  {
    name: "rho",
    title: "Rho",
    about: "Larger values put more of the steps at low noise.",
    source: `${edm}, Eq. 5`,
    min: 0.1,
  },
];

export const churnOptions: readonly NumberOption[] = [
  {
    name: "sChurn",
    title: "S_churn",
    about: "New noise that the steps add and remove again; 0 is none.",
    source: `${edm}, Algorithm 2`,
    min: 0,
  },
  {
    name: "sMin",
    title: "S_min",
    about: "Lowest noise level from which steps are churned.",
    source: `${edm}, Algorithm 2`,
    min: 0,
  },
  {
    name: "sMax",
    title: "S_max",
    about: "Highest noise level from which steps are churned; empty: all.",
    source: `${edm}, Algorithm 2`,
    min: 0,
  },
  {
    name: "sNoise",
    title: "S_noise",
    about: "Inflates the new noise a little, against detail that is lost.",
    source: `${edm}, Algorithm 2`,
    min: 0,
  },
];

export const solvers: readonly (readonly [Sampling["solver"], string])[] = [
  ["heun", "Heun: second order"],
  ["euler", "Euler: first order, half the evaluations"],
];

/** Kinds of guidance. */
export const guidances: readonly (readonly [
  kind: GuidanceChoice["kind"],
  title: string,
  about: string,
  source: string,
])[] = [
  ["off", "Off", "The network as it is.", ""],
  [
    "earlier",
    "Autoguidance: an earlier average",
    "Away from what an average of the same run said after a quarter of the training.",
    "Karras et al. 2024, Guiding a Diffusion Model with a Bad Version of Itself",
  ],
  [
    "unlabelled",
    "Classifier-free: itself without labels",
    "Away from what the network says without labels, for which it has to be trained with label dropout.",
    "Ho and Salimans 2021",
  ],
  [
    "network",
    "By another network",
    "Away from what a smaller, less trained or unconditional network says.",
    "Karras et al. 2024, Guiding a Diffusion Model with a Bad Version of Itself",
  ],
];
