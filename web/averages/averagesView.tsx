import "../style/study.css";
import { useEffect, useState } from "preact/hooks";
import { bytesText, whole } from "../numbers.ts";
import { chosenName, chosenRun, runs, runTitles, saying } from "../state/lab.ts";
import { download } from "../state/download.ts";
import type { Run } from "../state/run.ts";
import { study } from "../state/workers.ts";
import type { AverageFacts, AverageRequest } from "../worker/studyMessages.ts";
import { AverageImages } from "./averageImages.tsx";
import { facts, readFacts, settle, show, sigmaRel, time } from "./averagesState.ts";
import { ErrorCurve } from "./errorCurve.tsx";
import { FitCharts } from "./fitCharts.tsx";
import { SigmaRelSlider } from "./sigmaRelSlider.tsx";

/** Averages of a run's weights over training, of any length, made from the few that were stored. */
export function AveragesView() {
  const run = chosenRun.value;
  if (run === null) return <p class="quiet">Train a network first: its averages are made here.</p>;
  return (
    <div class="study">
      {runs.value.length > 1 && (
        <label class="runChoice">
          Run
          <select value={run.name} onChange={(event) => (chosenName.value = event.currentTarget.value)}>
            {runs.value.map(({ name }) => (
              <option key={name} value={name}>
                {runTitles.value.get(name) ?? name}
              </option>
            ))}
          </select>
        </label>
      )}
      <RunAverages key={run.name} run={run} />
    </div>
  );
}

function RunAverages({ run }: { readonly run: Run }) {
  const stored = run.snapshots.value;
  const [hasFailed, fail] = useState(false);
  useEffect(() => {
    void readFacts(run.name).then((found) => {
      fail(found === undefined);
      if (found === undefined || found.times.length === 0) return;
      if (time.value !== null && !found.times.includes(time.value)) time.value = null;
      show({ run: run.name, sigmaRel: sigmaRel.value, nimg: time.value });
    });
  }, [run, stored]);
  const known = facts.value?.run === run.name ? facts.value.facts : null;
  if (known === null) {
    return (
      <p class="quiet">
        {hasFailed ? "Its averages can't be read; the message above says why." : "Reading stored averages…"}
      </p>
    );
  }
  if (known.times.length === 0) return <Nothing run={run} />;
  return (
    <>
      <section class="panel" aria-label="Average">
        <Choice run={run} known={known} />
      </section>
      <div class="studyPanels">
        <section class="panel" aria-label="Samples of the average">
          <AverageImages run={run.name} />
        </section>
        <section class="panel" aria-label="How the average is made">
          <FitCharts run={run.name} />
        </section>
        <section class="panel" aria-label="Error by length">
          <ErrorCurve run={run.name} nimg={time.value} measured={known.measured} />
        </section>
      </div>
    </>
  );
}

/** Of a run that has stored none. */
function Nothing({ run: { settings, nimg, phase } }: { readonly run: Run }) {
  const every = settings.snapshot;
  const first = every === 0 ? settings.duration : Math.min(every, settings.duration);
  const isGoing = phase.value.kind === "training";
  return (
    <section class="panel" aria-label="Average">
      <h2>No averages yet</h2>
      <p>
        Training stores averages of its weights {every === 0 ? "at its end" : `every ${whole(every)} images`}: the first
        come after {whole(first)} images, and {whole(nimg.value)} are seen.{" "}
        {isGoing ? "They appear here by themselves." : "Go on training first."}
      </p>
    </section>
  );
}

function Choice({ run, known }: { readonly run: Run; readonly known: AverageFacts }) {
  const request = (): AverageRequest => ({ run: run.name, sigmaRel: sigmaRel.value, nimg: time.value });
  const at = time.value ?? known.times.at(-1) ?? 0;
  return (
    <>
      <div class="panelHead">
        <h2>Average</h2>
        <button
          type="button"
          onClick={() => void saying(study().averageFile(request()).then(download))}
          title="A safetensors file, as evenkeel phema writes it"
        >
          Save this average
        </button>
      </div>
      <SigmaRelSlider
        label="Length (sigma_rel)"
        value={sigmaRel.value}
        move={(value) => {
          sigmaRel.value = value;
          show(request());
        }}
        settle={() => settle(request())}
      />
      {known.times.length > 1 && (
        <label class="slider">
          <span>Time (images seen)</span>
          <input
            type="range"
            min={0}
            max={known.times.length - 1}
            value={known.times.indexOf(at)}
            aria-valuetext={`after ${whole(at)} images`}
            onInput={(event) => {
              const index = event.currentTarget.valueAsNumber;
              time.value = index === known.times.length - 1 ? null : (known.times[index] ?? null);
              show(request());
            }}
            onChange={() => settle(request())}
          />
          <output>{whole(at)}</output>
        </label>
      )}
      <p class="quiet">
        Long averages give smoother networks, short ones newer. {known.count} are stored, of lengths{" "}
        {known.sigmaRels.join(" and ")}; in memory they take {bytesText(known.bytes)}. Any other is made from them
        afterwards <cite>(Karras et al. 2024 (EDM2), Section 3)</cite>.
      </p>
    </>
  );
}
