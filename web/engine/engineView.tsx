import "./engine.css";
import { useState } from "preact/hooks";
import { bytesText, short, whole } from "../numbers.ts";
import { devices, given, plan, runs, runTitles } from "../state/lab.ts";
import type { DeviceState } from "../worker/messages.ts";
import type { ProgramFacts } from "../worker/explaining.ts";
import { compact, heading } from "./texts.ts";
import { cancelExplanation, explain, explanation } from "./explanation.ts";
import { Kernels } from "./kernels.tsx";
import { Memory } from "./memory.tsx";
import { Passes } from "./passes.tsx";

/** What the engine makes of a training step: graphs, kernels with their sources and times, memory. */
export function EngineView() {
  return (
    <div class="engine">
      <Asking />
      <Answer />
    </div>
  );
}

/** The value of the choice that is no run. */
const chosenSettings = "";

function Asking() {
  const [subject, setSubject] = useState(chosenSettings);
  const [wanted, setDevice] = useState<DeviceState["name"] | null>(null);
  const [profile, setProfile] = useState(true);
  const run = runs.value.find(({ name }) => name === subject) ?? null;
  const made = plan.value;
  const settings = run?.settings ?? (made?.kind === "possible" ? made.settings : null);
  const usual = devices.value.find(({ name }) => name === (run?.settings.device ?? given.value.device ?? "wasm"));
  const device = wanted ?? usual?.name ?? "wasm";
  const isTraining = runs.value.some((each) => each.phase.value.kind === "training");
  const state = explanation.value;
  const start = (): void => {
    if (settings === null) return;
    const title = run === null ? "The chosen settings" : (runTitles.value.get(run.name) ?? run.name);
    void explain(title, { settings, device, profile });
  };
  return (
    <section class="panel" aria-label="What to explain">
      <form
        class="asking"
        onSubmit={(event) => {
          event.preventDefault();
          start();
        }}
      >
        <label>
          <span>Step of</span>
          <select value={subject} onChange={(event) => setSubject(event.currentTarget.value)}>
            <option value={chosenSettings}>the settings chosen in Train</option>
            {runs.value.map(({ name }) => (
              <option key={name} value={name}>
                {runTitles.value.get(name) ?? name}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>Device</span>
          <select value={device} onChange={(event) => setDevice(event.currentTarget.value as DeviceState["name"])}>
            {devices.value.length === 0 && <option value="wasm">wasm</option>}
            {devices.value.map(({ name, available, text }) => (
              <option key={name} value={name} disabled={!available} title={text}>
                {available ? name : `${name} (not here)`}
              </option>
            ))}
          </select>
        </label>
        <label class="check">
          <input type="checkbox" checked={profile} onChange={(event) => setProfile(event.currentTarget.checked)} />
          <span>With times</span>
        </label>
        {state.kind === "busy" ? (
          <button type="button" onClick={cancelExplanation}>
            Cancel
          </button>
        ) : (
          <button type="submit" class="primary" disabled={settings === null}>
            Explain
          </button>
        )}
      </form>
      <p class="quiet">
        Compiles the training step as a run does, runs it on images of grey, and shows every graph, kernel and byte of
        it.
        {profile && isTraining && " A run is training: times are longer while it takes its share of the machine."}
      </p>
      {settings === null && made?.kind === "impossible" && (
        <p class="problem" role="alert">
          {made.reason}
        </p>
      )}
      <p role="status" class="quiet">
        {state.kind === "busy" ? `Working: ${state.what}…` : ""}
      </p>
      {state.kind === "failed" && (
        <p class="problem" role="alert">
          {state.message}
        </p>
      )}
    </section>
  );
}

function Answer() {
  const [chosen, choose] = useState(0);
  const state = explanation.value;
  if (state.kind !== "done") return null;
  const number = Math.min(chosen, state.programs.length - 1);
  const program = state.programs[number];
  if (program === undefined) return null;
  return (
    <>
      <section class="panel" aria-label="Program">
        <div class="panelHead">
          <h2>{state.title}</h2>
          {state.programs.length > 1 && (
            <div class="segments" role="group" aria-label="Program of the step">
              {state.programs.map(({ name }, i) => (
                <button key={name} type="button" aria-pressed={i === number} onClick={() => choose(i)}>
                  {name}
                </button>
              ))}
            </div>
          )}
        </div>
        <Summary program={program} />
      </section>
      <Kernels key={`kernels of ${program.name}`} number={number} program={program} texts={state.texts} />
      <Memory program={program} />
      <Passes key={`passes of ${program.name}`} number={number} program={program} texts={state.texts} />
    </>
  );
}

function Summary({ program }: { readonly program: ProgramFacts }) {
  const { device, name, runs: times, kernels, flops, milliseconds, bytes, dispatches } = program;
  return (
    <>
      <p>{device}</p>
      <p class="numbers">
        <span>
          program <b>{name}</b>
          {times === 1 ? "" : `, ${times} times a step`}
        </span>
        <span>
          <b>{whole(kernels.length)}</b> kernels
        </span>
        <span>
          <b>{compact(flops)}</b> flops a run
        </span>
        {milliseconds !== null && (
          <>
            <span>
              <b>{short(milliseconds)}</b> ms, kernel by kernel
            </span>
            <span>
              <b>{short(flops / milliseconds / 1e6)}</b> GFLOP/s
            </span>
          </>
        )}
        <span>
          <b>{bytesText(bytes)}</b> held on the device
        </span>
      </p>
      {dispatches.length > 0 && (
        <details>
          <summary>Dispatches</summary>
          <pre class="wrapped" tabIndex={0} aria-label="Dispatches">
            {heading(dispatches)}
          </pre>
        </details>
      )}
    </>
  );
}
