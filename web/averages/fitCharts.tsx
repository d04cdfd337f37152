import { LineChart } from "../charts/lineChart.tsx";
import { Stems } from "../charts/stems.tsx";
import { runColor } from "../charts/theme.ts";
import { whole } from "../numbers.ts";
import { described } from "./averagesState.ts";

/** The profile that is wanted, and what the stored averages make of it. */
export function FitCharts({ run }: { readonly run: string }) {
  const average = described.value?.run === run ? described.value.average : null;
  if (average === null) {
    return (
      <>
        <h2>How it is made</h2>
        <p class="quiet">Fitting…</p>
      </>
    );
  }
  const { times, target, fit, coefficients, error, sigmaRel, nimg } = average;
  const x = [...times];
  const lengths = [...new Set(coefficients.map((each) => each.sigmaRel))];
  return (
    <>
      <h2>How it is made</h2>
      <LineChart
        curves={[
          { label: "made of the stored ones", color: runColor(0), x, y: [...fit] },
          { label: "wanted", color: runColor(1), x, y: [...target], isDashed: true },
        ]}
        xLabel="images seen"
        yLabel="weight"
        description={`Weight of each time of training in the average of sigma_rel ${sigmaRel} after ${whole(nimg)} images; 1 is even`}
        height={200}
      />
      <p class="legend">
        <span style={{ "--curve": runColor(0) }}>made of the stored ones</span>
        <span style={{ "--curve": runColor(1) }} class="dashed">
          wanted
        </span>
      </p>
      <p class="quiet">{errorText(error)}</p>
      <Stems
        description="Coefficients of the stored averages"
        stems={coefficients.toReversed().map(({ nimg: at, sigmaRel: length, coefficient }) => ({
          name: `${whole(at)}, ${length === null ? "exponential" : length.toFixed(3)}`,
          value: coefficient,
          color: runColor(lengths.indexOf(length)),
        }))}
      />
      <p class="quiet">Each stored average, the newest first, by images seen and length. They add up to 1.</p>
    </>
  );
}

/** @param error the integral of the squared difference over that of the squared profile. */
function errorText(error: number): string {
  const share = Math.sqrt(Math.max(0, error));
  const percent = share < 0.0005 ? "less than 0.05 %" : `${Number((100 * share).toPrecision(2))} %`;
  if (share < 0.02) return `The fit is off by ${percent}: as good as an average that was kept all along.`;
  if (share < 0.1) return `The fit is off by ${percent}: close to what is wanted.`;
  if (share < 0.3) return `The fit is off by ${percent}: a rough likeness. Stored averages of more times would help.`;
  return `The fit is off by ${percent}: the stored averages can't make this one. Choose a length nearer to theirs, or a later time.`;
}
