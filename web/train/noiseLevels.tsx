import { useState } from "preact/hooks";
import { LineChart } from "../charts/lineChart.tsx";
import { runColor } from "../charts/theme.ts";
import { runs, runTitles } from "../state/lab.ts";

/** What is shown of a level of noise, and what it is called. */
const quantities = {
  error: "Error",
  loss: "Loss",
  rate: "Information",
  count: "Images",
} as const;
type Quantity = keyof typeof quantities;

/** Loss, error, rate of information and images at each level of noise, since the last look inside. */
export function NoiseLevels() {
  const [quantity, choose] = useState<Quantity>("error");
  const curves = runs.value.flatMap((run) => {
    const dynamics = run.dynamics.value;
    const last = dynamics?.samples.at(-1);
    if (!run.isShown.value || dynamics === null || last === undefined) return [];
    const edges = dynamics.header.sigmaEdges;
    // A bin's middle, as the axis is logarithmic; those at the ends are open.
    const middles = last.bins.count.map((_, bin) => {
      const [low, high] = [edges[bin - 1], edges[bin]];
      return low === undefined ? (high ?? 1) : high === undefined ? low : Math.sqrt(low * high);
    });
    const label = runTitles.value.get(run.name) ?? run.name;
    const values = last.bins[quantity];
    // Runs of older programs tell nothing of information.
    return values === undefined ? [] : [{ label, color: runColor(run.color), x: middles, y: values }];
  });
  return (
    <>
      <div class="panelHead">
        <h2>By noise level</h2>
        <div class="segments" role="group" aria-label="What is shown by noise level">
          {(Object.keys(quantities) as Quantity[]).map((each) => (
            <button key={each} type="button" aria-pressed={each === quantity} onClick={() => choose(each)}>
              {quantities[each]}
            </button>
          ))}
        </div>
      </div>
      {curves.length === 0 ? (
        <p class="quiet">Shown once a run has looked inside; the first step is looked at, then every so many.</p>
      ) : (
        <LineChart
          curves={curves}
          xLabel="sigma"
          yLabel={quantities[quantity].toLowerCase()}
          isXLog
          isYLog={quantity === "error"}
          description={`${quantities[quantity].toLowerCase()} by noise level`}
        />
      )}
    </>
  );
}
