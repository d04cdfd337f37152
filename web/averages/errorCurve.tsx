import { LineChart } from "../charts/lineChart.tsx";
import { runColor } from "../charts/theme.ts";
import { short } from "../numbers.ts";
import type { AverageFacts } from "../worker/studyMessages.ts";
import { cancelMeasuring, measure, measured } from "./averagesState.ts";

/** How the error depends on the length. */
export function ErrorCurve({
  run,
  nimg,
  measured: on,
}: {
  readonly run: string;
  readonly nimg: number | null;
  readonly measured: AverageFacts["measured"];
}) {
  const known = measured.value?.run === run && measured.value.nimg === nimg ? measured.value : null;
  const progress = known?.progress ?? null;
  const errors = (known?.errors ?? []).toSorted((a, b) => a.sigmaRel - b.sigmaRel);
  const [best] = errors.toSorted((a, b) => a.error - b.error);
  if ("missing" in on) {
    return (
      <>
        <h2>Error by length</h2>
        <p class="problem">It can't be measured: {on.missing}</p>
      </>
    );
  }
  const { count, areHeldOut } = on;
  const images = areHeldOut
    ? `${count} images that were held out of training`
    : `${count} of the images it was trained on, as none were held out: the curve tells how well these were learned`;
  return (
    <>
      <div class="panelHead">
        <h2>Error by length</h2>
        {progress === null ? (
          <button type="button" onClick={() => void measure(run, nimg)}>
            Measure
          </button>
        ) : (
          <button type="button" onClick={() => void cancelMeasuring()}>
            Cancel measuring
          </button>
        )}
      </div>
      {progress !== null && (
        <progress max={progress.total} value={progress.done} aria-label="Measuring the error of averages" />
      )}
      {errors.length > 0 && (
        <LineChart
          curves={[
            {
              label: "error",
              color: runColor(0),
              x: errors.map(({ sigmaRel }) => sigmaRel),
              y: errors.map(({ error }) => error),
            },
          ]}
          xLabel="sigma_rel"
          yLabel="error"
          isXLog
          description="Weighted denoising error by length of the average"
          marks={best === undefined ? [] : [best.sigmaRel]}
          height={200}
        />
      )}
      {progress === null && best !== undefined && (
        <p role="status">
          Least error {short(best.error)} at sigma_rel {best.sigmaRel}.
        </p>
      )}
      <p class="quiet">
        The weighted denoising error of averages of nine lengths, on {images}. Always on the same noise.{" "}
        <cite>Karras et al. 2024 (EDM2), Figure 5a, with this error in the place of FID</cite>
      </p>
    </>
  );
}
