import { useState } from "preact/hooks";
import { bytesText, whole } from "../numbers.ts";
import { removeRun, runs, runTitles, saying } from "../state/lab.ts";
import type { Run } from "../state/run.ts";
import { phaseText } from "../train/phaseText.ts";
import type { FileFacts } from "../worker/whileWritten.ts";
import { kept, lookAtKept, moving, removeRemains, saveFile, saveRun } from "./moving.ts";

/** Every run that the browser keeps. */
export function RunTable() {
  const remains = kept.value?.remains ?? [];
  return (
    <section class="panel" aria-label="Kept runs">
      <div class="panelHead">
        <h2>Runs</h2>
      </div>
      {runs.value.length === 0 && <p class="quiet">There are none yet. Start one in Train, or open one.</p>}
      <ul class="keptList">
        {runs.value.map((run) => (
          <RunRow key={run.name} run={run} />
        ))}
        {remains.map(({ name, bytes }) => (
          <li key={name}>
            <p>
              <b>{name}</b>
            </p>
            <p class="quiet">
              {bytesText(bytes)} of files without settings: a run that was never whole, or that has just begun.
            </p>
            <div class="buttons">
              <button type="button" disabled={moving.value !== null} onClick={() => void removeRemains(name)}>
                Remove what is left of {name}
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function RunRow({ run }: { readonly run: Run }) {
  const [isOpen, open] = useState(false);
  const { name, settings } = run;
  const { kind } = run.phase.value;
  const isGoing = kind === "training" || kind === "paused" || kind === "preparing" || kind === "stopping";
  const files = kept.value?.runs.find((each) => each.name === name)?.files ?? [];
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const title = runTitles.value.get(name) ?? name;
  const isBusy = moving.value !== null;
  const hasCheckpoint = files.some((file) => kindOf(file.name) !== "other");
  return (
    <li>
      <p>
        <b>{name}</b>
        {title === name ? "" : `: ${title}`}
      </p>
      <p class="quiet">
        {phaseText(run.phase.value)}, {whole(run.nimg.value)} of {whole(settings.duration)} images; configuration{" "}
        {settings.config}, data {settings.data}, batch {settings.batch}, seed {settings.seed}; {bytesText(bytes)}
      </p>
      {isGoing && (
        <p class="quiet">While it trains its checkpoint may be replaced at any time: stop it to save or remove it.</p>
      )}
      <div class="buttons">
        {isGoing ? (
          <button type="button" disabled={kind === "stopping"} onClick={() => void saying(run.stop())}>
            Stop {name}
          </button>
        ) : (
          <>
            <button
              type="button"
              class="primary"
              disabled={isBusy || !hasCheckpoint}
              title={hasCheckpoint ? undefined : "It has neither a checkpoint nor an average yet"}
              aria-label={`Download as zip: ${name}`}
              onClick={() => void saveRun(name)}
            >
              Download as zip
            </button>
            <button
              type="button"
              disabled={isBusy}
              aria-label={`Remove ${name}`}
              onClick={() => {
                if (confirm(`Remove ${name} with all its files?`)) void saying(removeRun(run)).then(lookAtKept);
              }}
            >
              Remove
            </button>
          </>
        )}
        <button type="button" aria-expanded={isOpen} aria-label={`Files of ${name}`} onClick={() => open(!isOpen)}>
          Files
        </button>
      </div>
      {isOpen && <FileList run={name} files={files} />}
    </li>
  );
}

const kinds = ["average", "checkpoint", "grid", "other"] as const;
type FileKind = (typeof kinds)[number];

const titles: Readonly<Record<FileKind, string>> = {
  average: "Stored averages",
  checkpoint: "Checkpoints",
  grid: "Sample grids",
  other: "Settings and logs",
};

function kindOf(name: string): FileKind {
  if (/^training-state-.*\.safetensors$/.test(name)) return "checkpoint";
  if (name.endsWith(".safetensors")) return "average";
  return /^samples-.*\.png$/.test(name) ? "grid" : "other";
}

function FileList({ run, files }: { readonly run: string; readonly files: readonly FileFacts[] }) {
  if (files.length === 0) return <p class="quiet">It has no files yet.</p>;
  return (
    <>
      {kinds.map((kind) => {
        const own = files.filter(({ name }) => kindOf(name) === kind);
        if (own.length === 0) return null;
        return (
          <details key={kind} open={own.length <= 4}>
            <summary>
              {titles[kind]}: {own.length}
            </summary>
            <ul class="fileList" aria-label={`${titles[kind]} of ${run}`}>
              {own.map(({ name, bytes }) => (
                <li key={name}>
                  <button
                    type="button"
                    aria-label={`Download ${name}`}
                    onClick={() => void saying(saveFile(run, name))}
                  >
                    {name}
                  </button>
                  <span class="quiet">{bytesText(bytes)}</span>
                </li>
              ))}
            </ul>
          </details>
        );
      })}
    </>
  );
}
