/** An average of a run, by its time in images and its length. */
export type AverageChoice = { readonly nimg: number; readonly sigmaRel: number };

/** Of its training, how much of it a guide has seen. */
const guideShare = 0.25;

/**
 * The average by which a run's own network is best guided (autoguidance: `labels: "same"`): of the time nearest to a quarter of the
 * training, less trained but of the same kind, and half as long again, up to 0.25. Karras et al. 2024, "Guiding a
 * Diffusion Model with a Bad Version of Itself". Null if nothing was stored earlier.
 * @param times at which averages were stored.
 * @param main the average that is guided.
 * @example console.log(guideAverage([1000, 2000, 3000, 4000], { nimg: 4000, sigmaRel: 0.1 })); // { nimg: 1000, sigmaRel: 0.15 }
 */
export function guideAverage(times: readonly number[], main: AverageChoice): AverageChoice | null {
  const wanted = main.nimg * guideShare;
  const [nearest] = times
    .filter((time) => time < main.nimg)
    .toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted));
  return nearest === undefined ? null : { nimg: nearest, sigmaRel: Math.min(0.25, 1.5 * main.sigmaRel) };
}
