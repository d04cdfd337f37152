import { runColor } from "../charts/theme.ts";
import { chosenName, removeRun, runs, runTitles, saying } from "../state/lab.ts";
import { whole } from "../numbers.ts";
import { phaseText } from "./phaseText.ts";

/** All runs: which of them are in the charts, and which one the views are about. */
export function RunList() {
  if (runs.value.length === 0) return null;
  return (
    <ul class="runs" aria-label="Runs">
      {runs.value.map((run) => {
        const title = runTitles.value.get(run.name) ?? run.name;
        const isChosen = run.name === chosenName.value;
        const { kind } = run.phase.value;
        const isGoing = kind === "training" || kind === "paused" || kind === "preparing" || kind === "stopping";
        return (
          <li key={run.name} class={isChosen ? "chosen" : ""}>
            <label class="shown" style={{ "--run": runColor(run.color) }}>
              <input
                type="checkbox"
                aria-label={`${title} in the charts`}
                checked={run.isShown.value}
                onChange={(event) => (run.isShown.value = event.currentTarget.checked)}
              />
            </label>
            <button type="button" aria-pressed={isChosen} class="name" onClick={() => (chosenName.value = run.name)}>
              <b>{title}</b>{" "}
              <span>
                {phaseText(run.phase.value).split(":")[0]}, {whole(run.nimg.value)} images
              </span>
            </button>
            <button
              type="button"
              class="remove"
              disabled={isGoing}
              aria-label={`Remove ${title} with all its files`}
              title={isGoing ? "Stop it first" : "Remove it with all its files"}
              onClick={() => {
                if (confirm(`Remove ${title} with all its files?`)) void saying(removeRun(run));
              }}
            >
              ×
            </button>
          </li>
        );
      })}
    </ul>
  );
}
