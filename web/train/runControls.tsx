import { chosenRun, plan, say, startRun, takeSettings } from "../state/lab.ts";
import { duration, short, whole } from "../numbers.ts";
import type { Run } from "../state/run.ts";
import { phaseText } from "./phaseText.ts";

/** Start, pause, step, resume, stop; and how far the chosen run is. */
export function RunControls() {
  const run = chosenRun.value;
  const isPossible = plan.value?.kind === "possible";
  return (
    <section class="controls" aria-label="Training">
      <div class="buttons">
        <button type="button" class="primary" disabled={!isPossible} onClick={() => void startRun()}>
          {run === null ? "Start training" : "Start a new run"}
        </button>
        {run !== null && <RunButtons run={run} />}
      </div>
      {run === null ? (
        <p class="quiet">Press Start: the network learns on this machine, nothing leaves it.</p>
      ) : (
        <Progress run={run} />
      )}
    </section>
  );
}

function RunButtons({ run }: { readonly run: Run }) {
  const { kind } = run.phase.value;
  const failing = (task: Promise<void>): void => void task.catch((reason: unknown) => say("error", String(reason)));
  return (
    <>
      {kind === "training" && (
        <button type="button" onClick={() => failing(run.pause())}>
          Pause
        </button>
      )}
      {kind === "paused" && (
        <button type="button" onClick={() => failing(run.resume())}>
          Resume
        </button>
      )}
      {(kind === "stopped" || kind === "failed" || kind === "elsewhere") && (
        <button type="button" onClick={() => failing(run.start())}>
          Go on
        </button>
      )}
      {(kind === "training" || kind === "paused" || kind === "stopped") && (
        <button type="button" onClick={() => failing(run.step())}>
          Step
        </button>
      )}
      {(kind === "training" || kind === "paused" || kind === "preparing") && (
        <button type="button" onClick={() => failing(run.stop())}>
          Stop
        </button>
      )}
    </>
  );
}

function Progress({ run }: { readonly run: Run }) {
  const { duration: all } = run.settings;
  const last = run.points.value.at(-1);
  return (
    <div class="progress">
      <progress max={all} value={run.nimg.value} aria-label={`Images of ${run.name}`} />
      <p class="numbers">
        <span class="phase" role="status">
          {phaseText(run.phase.value)}
          {run.work.value === null ? "" : `; ${run.work.value}`}
        </span>
        <span>
          <b>{whole(run.nimg.value)}</b> of {whole(all)} images
        </span>
        {run.imagesPerSecond.value !== null && (
          <>
            <span>
              <b>{short(run.imagesPerSecond.value)}</b> images/s
            </span>
            <span>
              <b>{duration(run.secondsLeft.value)}</b> left
            </span>
          </>
        )}
        <span>
          error <b>{short(last?.error)}</b>
        </span>
        <span>
          loss <b>{short(last?.loss)}</b>
        </span>
      </p>
      {run.device.value !== null && <p class="quiet">{run.device.value}</p>}
      <button type="button" class="quietButton" onClick={() => void takeSettings(run)}>
        Choose its settings again
      </button>
      {run.notes.value.map((note) => (
        <p key={note} class="quiet">
          {note}
        </p>
      ))}
    </div>
  );
}
