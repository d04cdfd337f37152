import { useState } from "preact/hooks";
import { LineChart } from "../charts/lineChart.tsx";
import { runColor } from "../charts/theme.ts";
import { runs, runTitles } from "../state/lab.ts";
import type { StatusPoint } from "../worker/messages.ts";

const quantities = [
  {
    key: "error",
    title: "Error",
    about: "Weighted denoising error: 1 for a network that puts out nothing, less is better",
  },
  { key: "loss", title: "Loss", about: "The loss that is minimized: the error with learned uncertainty" },
  { key: "gradientNorm", title: "Gradient", about: "Norm of the gradient" },
  { key: "learningRate", title: "Rate", about: "Learning rate of the optimizer" },
] as const satisfies readonly { key: keyof StatusPoint; title: string; about: string }[];

/** Several runs in one chart. */
export function Curves() {
  const [key, choose] = useState<(typeof quantities)[number]["key"]>("error");
  const quantity = quantities.find((each) => each.key === key) ?? quantities[0];
  const curves = runs.value.flatMap((run) => {
    if (!run.isShown.value) return [];
    const points = run.points.value;
    return [
      {
        label: runTitles.value.get(run.name) ?? run.name,
        color: runColor(run.color),
        x: points.map(({ nimg }) => nimg),
        y: points.map((point) => point[key]),
      },
    ];
  });
  return (
    <>
      <div class="panelHead">
        <h2>Learning</h2>
        <div class="segments" role="group" aria-label="What the curves show">
          {quantities.map((each) => (
            <button key={each.key} type="button" aria-pressed={each.key === key} onClick={() => choose(each.key)}>
              {each.title}
            </button>
          ))}
        </div>
      </div>
      <LineChart
        curves={curves}
        xLabel="images seen"
        yLabel={quantity.title.toLowerCase()}
        description={`${quantity.about}, over images seen`}
        height={260}
      />
      <p class="quiet">{quantity.about}.</p>
    </>
  );
}
