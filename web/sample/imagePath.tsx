import { useEffect, useId, useState } from "preact/hooks";
import { Pixels } from "../charts/pixels.tsx";
import type { Sampled } from "../worker/studyMessages.ts";
import { frames, image, step } from "./sampleState.ts";
import { imageSize, sigmaText } from "./sides.ts";

/** Milliseconds that a frame is seen. */
const frameTime = 180;

/** One image, large, at one step of its way. */
export function ImagePath({ sampled: { sides, seeds } }: { readonly sampled: Sampled }) {
  const id = useId();
  const [isPlaying, play] = useState(false);
  const last = (sides[0]?.sigmas.length ?? 1) - 1;
  const at = Math.min(step.value, last);
  const sigma = sigmaText(sides[0]?.sigmas[at] ?? 0);
  useEffect(() => {
    if (!isPlaying) return undefined;
    const timer = setInterval(() => {
      if (step.value >= last) play(false);
      else step.value++;
    }, frameTime);
    return () => clearInterval(timer);
  }, [isPlaying, last]);
  const kind = frames.value;
  return (
    <>
      <div class="panelHead">
        <h2>
          One image: {sides[0]?.labels[image.value]}, seed {seeds[image.value]}
        </h2>
        <label class="imageChoice">
          Image
          <select value={String(image.value)} onChange={(event) => (image.value = Number(event.currentTarget.value))}>
            {seeds.map((seed, i) => (
              <option key={seed} value={String(i)}>
                seed {seed}: {sides[0]?.labels[i]}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div class="scrub">
        <button
          type="button"
          onClick={() => {
            if (!isPlaying && step.value >= last) step.value = 0;
            play(!isPlaying);
          }}
        >
          {isPlaying ? "Pause" : "Play"}
        </button>
        <label for={id}>Step</label>
        <input
          id={id}
          type="range"
          min={0}
          max={last}
          value={at}
          aria-valuetext={at === last ? "the image" : `step ${at + 1} of ${last}, sigma ${sigma}`}
          onInput={(event) => {
            play(false);
            step.value = event.currentTarget.valueAsNumber;
          }}
        />
        <output for={id}>{at === last ? "the image" : `${at + 1} of ${last}, sigma ${sigma}`}</output>
      </div>
      <div class="sides">
        {sides.map((side, place) => {
          const from = at * seeds.length + image.value;
          const what = (name: string): string =>
            `${name} of ${side.title}, ${side.labels[image.value] ?? ""}, at sigma ${sigma}`;
          return (
            <figure key={place}>
              <figcaption>
                <b>{side.title}</b> <span class="quiet">{kind === "noisy" ? "noisy state" : "denoised answer"}</span>
              </figcaption>
              <Pixels
                pixels={side[kind]}
                size={imageSize(side)}
                places={[from]}
                columns={1}
                class="largeImage"
                label={what(kind === "noisy" ? "Noisy state" : "Denoised answer")}
              />
            </figure>
          );
        })}
      </div>
    </>
  );
}
