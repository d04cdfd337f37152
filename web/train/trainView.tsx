import { chosenRun } from "../state/lab.ts";
import { RunControls } from "./runControls.tsx";
import { Curves } from "./curves.tsx";
import { Magnitudes } from "./magnitudes.tsx";
import { NoiseLevels } from "./noiseLevels.tsx";
import { OptionsForm } from "./optionsForm.tsx";
import { RunList } from "./runList.tsx";
import { SampleGrid } from "./sampleGrid.tsx";

/** Choosing an experiment, training it, and what is seen of it meanwhile. */
export function TrainView() {
  const run = chosenRun.value;
  return (
    <div class="train">
      <OptionsForm />
      <div class="trainMain">
        <RunControls />
        <RunList />
        <div class="panels">
          <section class="panel" aria-label="Samples">
            <SampleGrid run={run} />
          </section>
          <div class="panelColumn">
            <section class="panel" aria-label="Learning curves">
              <Curves />
            </section>
            <section class="panel" aria-label="Error by noise level">
              <NoiseLevels />
            </section>
          </div>
          <section class="panel wide" aria-label="Inside the network">
            <Magnitudes run={run} />
          </section>
        </div>
      </div>
    </div>
  );
}
