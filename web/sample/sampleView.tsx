import "../style/study.css";
import "./sample.css";
import { useEffect } from "preact/hooks";
import { sigmaRel } from "../averages/averagesState.ts";
import { chosenRun } from "../state/lab.ts";
import { Attention } from "./attention.tsx";
import { FilmStrip } from "./filmStrip.tsx";
import { ImagePath } from "./imagePath.tsx";
import { SampledImages } from "./sampledImages.tsx";
import { main, result } from "./sampleState.ts";
import { SamplingForm } from "./samplingForm.tsx";

/** Sampling a network, or two beside each other, and looking at how images come out of noise. */
export function SampleView() {
  const run = chosenRun.value;
  useEffect(() => {
    if (main.choice.value === null && run !== null) {
      main.choose({ kind: "average", run: run.name, sigmaRel: sigmaRel.value, nimg: null });
    }
  }, [run]);
  const sampled = result.value;
  return (
    <div class="train sampling">
      <SamplingForm />
      <div class="trainMain">
        {sampled === null ? (
          <section class="panel" aria-label="Samples">
            <p class="quiet">
              Choose a network and press Sample. Each image is then seen on its way from noise, step by step, and where
              the network looks.
            </p>
          </section>
        ) : (
          <>
            <section class="panel" aria-label="Samples">
              <SampledImages sampled={sampled} />
            </section>
            <section class="panel" aria-label="Film strip">
              <FilmStrip sampled={sampled} />
            </section>
            <section class="panel" aria-label="One image">
              <ImagePath sampled={sampled} />
            </section>
            <section class="panel" aria-label="Attention">
              <Attention sampled={sampled} />
            </section>
          </>
        )}
      </div>
    </div>
  );
}
