/** The options of a run as the form shows them: what each is, in a line, and where it comes from. */
import type { GivenSettings } from "../worker/messages.ts";

type OptionName = keyof GivenSettings;

/** How an option is entered. */
export type OptionEntry =
  | { readonly kind: "choice"; readonly values: readonly (readonly [value: string, title: string])[] }
  | { readonly kind: "number"; readonly min?: number; readonly max?: number; readonly isWhole?: boolean }
  | { readonly kind: "numbers" }
  | { readonly kind: "switch" }
  | { readonly kind: "text"; readonly placeholder: string };

export type Option = {
  readonly name: OptionName;
  readonly title: string;
  /** What it does. */
  readonly about: string;
  /** Where it is from. */
  readonly source: string;
  readonly entry: OptionEntry;
};

export type OptionGroup = { readonly title: string; readonly isOpen: boolean; readonly options: readonly Option[] };

const edm = "Karras et al. 2022 (EDM)";
const edm2 = "Karras et al. 2024 (EDM2)";

const configurations: readonly (readonly [string, string])[] = [
  ["A", "A: ADM's network as EDM trained it"],
  ["B", "B: minor improvements"],
  ["C", "C: streamlined architecture"],
  ["D", "D: magnitude-preserving learned layers"],
  ["E", "E: control of effective learning rates"],
  ["F", "F: no group normalization"],
  ["G", "G: magnitude-preserving fixed functions"],
];

/** Every option of the form, in groups. Data and device have forms of their own. */
export const optionGroups: readonly OptionGroup[] = [
  {
    title: "Network",
    isOpen: true,
    options: [
      {
        name: "config",
        title: "Configuration",
        about: "The step of the paper's ladder from ADM to EDM2.",
        source: `${edm2}, Table 2 and Section 2`,
        entry: { kind: "choice", values: configurations },
      },
      {
        name: "switches",
        title: "Single switches",
        about: "Turns single parts of the configuration, as groupNorm=none,pixelNorm=true.",
        source: `${edm2}, Appendix B`,
        entry: { kind: "text", placeholder: "none" },
      },
      {
        name: "channels",
        title: "Width",
        about: "Channels at full resolution; deeper levels have multiples of it.",
        source: `${edm2}, Table 6`,
        entry: { kind: "number", min: 8, max: 256, isWhole: true },
      },
      {
        name: "blocks",
        title: "Blocks per level",
        about: "Residual blocks at each resolution.",
        source: `${edm2}, Table 6`,
        entry: { kind: "number", min: 1, max: 4, isWhole: true },
      },
      {
        name: "dropout",
        title: "Dropout",
        about: "Share of features that a block forgets in training.",
        source: `${edm2}, Table 6`,
        entry: { kind: "number", min: 0, max: 0.9 },
      },
    ],
  },
  {
    title: "Learning",
    isOpen: true,
    options: [
      {
        name: "lr",
        title: "Learning rate",
        about: "The reference rate alpha_ref of the schedule.",
        source: `${edm2}, Eq. 67 and Table 6`,
        entry: { kind: "number", min: 0 },
      },
      {
        name: "decay",
        title: "Constant for",
        about: "Batches until the rate falls as 1 / sqrt(t), t_ref; for that schedule alone.",
        source: `${edm2}, Eq. 67`,
        entry: { kind: "number", min: 0 },
      },
      {
        name: "batch",
        title: "Batch",
        about: "Images of a step.",
        source: `${edm2}, Table 6`,
        entry: { kind: "number", min: 1, isWhole: true },
      },
      {
        name: "duration",
        title: "Images",
        about: "Images to train on, counting repetitions.",
        source: `${edm2}, Table 6`,
        entry: { kind: "number", min: 1, isWhole: true },
      },
      {
        name: "seed",
        title: "Seed",
        about: "Everything random follows from it: the same seed gives the same bits.",
        source: "Salmon et al. 2011 (counter-based random numbers)",
        entry: { kind: "number", min: 0, isWhole: true },
      },
    ],
  },
  {
    title: "Noise",
    isOpen: false,
    options: [
      {
        name: "P_mean",
        title: "Mean of ln sigma",
        about: "Where on the scale of noise most training happens.",
        source: `${edm}, Table 1; ${edm2}, Table 6`,
        entry: { kind: "number" },
      },
      {
        name: "P_std",
        title: "Deviation of ln sigma",
        about: "How far training spreads over levels of noise.",
        source: `${edm}, Table 1; ${edm2}, Table 6`,
        entry: { kind: "number", min: 0.01 },
      },
      {
        name: "sigma-data",
        title: "Sigma of the data",
        about: "Standard deviation of pixels, from which the preconditioning follows.",
        source: `${edm}, Eq. 7`,
        entry: { kind: "number", min: 0.01 },
      },
    ],
  },
  {
    title: "Questions of 2026",
    isOpen: false,
    options: [
      {
        name: "noise",
        title: "Noise levels from",
        about: "A log-normal distribution, or the losses: as fast as they say that an image becomes uncertain.",
        source: "Raya et al. 2026 (InfoNoise)",
        entry: {
          kind: "choice",
          values: [
            ["lognormal", "a log-normal distribution"],
            ["infonoise", "the losses"],
          ],
        },
      },
      {
        name: "noise-df",
        title: "Tails of the noise",
        about: "Degrees of freedom of Student-t noise, above 2: few make heavy tails; 0: Gaussian noise.",
        source: "Pandey et al. 2025 (Heavy-Tailed Diffusion Models)",
        entry: { kind: "number", min: 0 },
      },
      {
        name: "target",
        title: "Target",
        about: "What the raw network predicts: image and noise mixed, the image, or the noise.",
        source: `${edm}, Table 1; Salimans and Ho 2022; Ho et al. 2020`,
        entry: {
          kind: "choice",
          values: [
            ["v", "v: EDM's mixture"],
            ["x", "x: the image"],
            ["eps", "eps: the noise"],
          ],
        },
      },
      {
        name: "optimizer",
        title: "Optimizer",
        about: "What moves the weights. Muon and SOAP move matrices, and Adam the rest.",
        source: "Kingma and Ba 2015; Jordan 2024 and arXiv 2502.16982 (Muon); arXiv 2409.11321 (SOAP)",
        entry: {
          kind: "choice",
          values: [
            ["adam", "Adam"],
            ["sgd", "gradient descent with momentum"],
            ["muon", "Muon: orthogonal steps"],
            ["soap", "SOAP: Adam in eigenbases"],
          ],
        },
      },
      {
        name: "hyperball",
        title: "Fixed norms",
        about: "Fixes the norms of weights and of their steps.",
        source: "arXiv 2606.16899 (Hyperball)",
        entry: {
          kind: "choice",
          values: [
            ["off", "no"],
            ["matrix", "of each matrix"],
            ["row", "of each output's weights"],
          ],
        },
      },
      {
        name: "magnitude-rate",
        title: "Rate of magnitudes",
        about: "Moves magnitudes apart from directions, at this share of the rate; 0: not at all. Empty: together.",
        source: "arXiv 2606.25971",
        entry: { kind: "number", min: 0 },
      },
      {
        name: "schedule",
        title: "Schedule",
        about: "How the learning rate goes over the run, behind its ramp; the last three end with it.",
        source: `${edm2}, Eq. 67; Loshchilov and Hutter 2017; Hu et al. 2024 (MiniCPM)`,
        entry: {
          kind: "choice",
          values: [
            ["inverse-sqrt", "1 / sqrt(t), EDM2's"],
            ["constant", "constant"],
            ["cosine", "cosine"],
            ["linear", "linear"],
            ["warmup-stable-decay", "level, then a line down"],
          ],
        },
      },
    ],
  },
  {
    title: "Data and averages",
    isOpen: false,
    options: [
      {
        name: "label-dropout",
        title: "Label dropout",
        about:
          "Share of images that are shown without their label, so that classifier-free guidance needs no second network.",
        source: "Ho and Salimans 2021",
        entry: { kind: "number", min: 0, max: 1 },
      },
      {
        name: "xflip",
        title: "Mirror",
        about: "Shows half of the images mirrored.",
        source: `${edm}, Appendix F`,
        entry: { kind: "switch" },
      },
      {
        name: "holdout",
        title: "Held out",
        about: "Images that aren't trained on, to measure the error of averages.",
        source: "common practice",
        entry: { kind: "number", min: 0, isWhole: true },
      },
      {
        name: "ema",
        title: "Stored averages",
        about: "Lengths sigma_rel of the two averages from which any other is made afterwards.",
        source: `${edm2}, Section 3.2`,
        entry: { kind: "numbers" },
      },
    ],
  },
  {
    title: "What is kept",
    isOpen: false,
    options: [
      {
        name: "samples",
        title: "Samples every",
        about: "Images between two grids of samples; 0: none.",
        source: "the lab",
        entry: { kind: "number", min: 0, isWhole: true },
      },
      {
        name: "snapshot",
        title: "Averages every",
        about: "Images between two stored averages, at least 1,000; 0: only at the end.",
        source: `${edm2}, Appendix C`,
        entry: { kind: "number", min: 0, isWhole: true },
      },
      {
        name: "checkpoint",
        title: "Checkpoint every",
        about: "Images between two checkpoints: what a closed page loses at most.",
        source: "the lab",
        entry: { kind: "number", min: 0, isWhole: true },
      },
      {
        name: "dynamics",
        title: "Look inside every",
        about: "Steps between two measurements of magnitudes, rates and attention; 0: none.",
        source: `${edm2}, Figures 3 and 15`,
        entry: { kind: "number", min: 0, isWhole: true },
      },
    ],
  },
];
