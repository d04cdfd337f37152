/** What is said of a software adapter's times wherever they are shown. */
export const softwareWarning = (adapter: string): string =>
  `NOT SPEEDS: ${adapter} computes on the CPU. Times on it show that the work runs, and nothing about GPUs.`;
