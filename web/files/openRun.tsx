import { datasets, runs } from "../state/lab.ts";
import { plainDatasetName } from "../worker/datasetName.ts";
import { PickFiles, PickFolder } from "./dropArea.tsx";
import { InNode } from "./inNode.tsx";
import { cancelMove, moving, openRun, problem, report } from "./moving.ts";

/** Opening a run, and what came of the last move. */
export function OpenRun() {
  const isBusy = moving.value !== null;
  return (
    <section class="panel" aria-label="Open a run">
      <div class="panelHead">
        <h2>Open a run</h2>
      </div>
      <p class="quiet">
        Drop a run here, as a zip that was saved from this page or as the folder that <code>evenkeel train</code> wrote,
        or pick it. It goes on here from its checkpoint, bit for bit. Images to train on are brought in Train, under
        Data.
      </p>
      <div class="buttons">
        <PickFiles title="Open a zip" accept=".zip" take={(files) => void openRun(files)} disabled={isBusy} />
        <PickFolder title="Open a folder" take={(files) => void openRun(files)} disabled={isBusy} />
      </div>
      <Moving />
      {problem.value !== null && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <Report />
    </section>
  );
}

function Moving() {
  const now = moving.value;
  return (
    <div role="status">
      {now !== null && (
        <div class="moving">
          <p>
            {now.what}
            {now.total > 0 && `: ${Math.floor((100 * now.done) / now.total)}%`}
          </p>
          <progress
            aria-label={now.what}
            max={Math.max(1, now.total)}
            {...(now.total > 0 ? { value: now.done } : {})}
          />
          <button type="button" onClick={cancelMove}>
            Cancel
          </button>
        </div>
      )}
    </div>
  );
}

function Report() {
  const last = report.value;
  if (last === null) return null;
  const run = runs.value.find(({ name }) => name === last.run);
  const data = plainDatasetName(run?.settings.data ?? "");
  const isMissing = run !== undefined && !datasets.value.some(({ name }) => name === data);
  return (
    <div class="report" role="status">
      <p>
        <b>{last.run}</b>{" "}
        {last.kind === "opened"
          ? `is open: it is chosen in all views${run?.phase.value.kind === "finished" ? ", and finished" : ", and goes on from Train"}.`
          : "is saved."}
      </p>
      {last.told.length > 0 && (
        <ul class="told">
          {last.told.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
      {last.kind === "opened" && isMissing && (
        <p>
          It trains on {run.settings.data}, which this browser doesn&apos;t have: to go on, bring these images in Train,
          under Data, and keep them as {data}.
        </p>
      )}
      {last.kind === "saved" && <InNode name={last.run} />}
    </div>
  );
}
