import { Pixels } from "../charts/pixels.tsx";
import { download } from "../state/download.ts";
import { saying } from "../state/lab.ts";
import { study } from "../state/workers.ts";
import type { Sampled } from "../worker/studyMessages.ts";
import { frames, image, step } from "./sampleState.ts";
import { imageSize, sigmaText } from "./sides.ts";

/** Every image in every step: rows are images, columns steps. */
export function FilmStrip({ sampled: { sides, seeds } }: { readonly sampled: Sampled }) {
  const kind = frames.value;
  const sigmas = sides[0]?.sigmas ?? [];
  return (
    <>
      <div class="panelHead">
        <h2>From noise to images</h2>
        <div class="segments" role="group" aria-label="What the film strip shows">
          <button type="button" aria-pressed={kind === "noisy"} onClick={() => (frames.value = "noisy")}>
            Noisy state
          </button>
          <button type="button" aria-pressed={kind === "denoised"} onClick={() => (frames.value = "denoised")}>
            Denoised answer
          </button>
        </div>
      </div>
      <p class="quiet">
        {kind === "noisy"
          ? "What the network is asked about at each noise level sigma, at the contrast of images."
          : "What the network answers at each noise level sigma: what the image looks like from there."}{" "}
        The last column is what came out.
      </p>
      <div class="strip" role="region" aria-label="Film strip by steps" tabIndex={0}>
        <table style={{ "--frames": sigmas.length }}>
          <thead>
            <tr>
              <th scope="col">sigma</th>
              {sigmas.map((sigma, i) => (
                <th key={i} scope="col" class={i === step.value ? "chosen" : ""}>
                  {sigmaText(sigma)}
                </th>
              ))}
            </tr>
          </thead>
          {seeds.map((seed, at) => (
            <tbody key={seed} class={at === image.value ? "chosen" : ""}>
              {sides.map((side, place) => (
                <tr key={place}>
                  {place === 0 && (
                    <th scope="row" rowSpan={sides.length}>
                      <button type="button" aria-pressed={at === image.value} onClick={() => (image.value = at)}>
                        {side.labels[at]}
                        <span class="quiet"> seed {seed}</span>
                      </button>
                    </th>
                  )}
                  <td colSpan={sigmas.length}>
                    <Pixels
                      pixels={side[kind]}
                      size={imageSize(side)}
                      places={sigmas.map((_, i) => i * seeds.length + at)}
                      columns={sigmas.length}
                      gap={1}
                      label={`${kind === "noisy" ? "Noisy states" : "Denoised answers"} of ${side.title}, ${side.labels[at] ?? ""}, seed ${seed}, from sigma ${sigmaText(sigmas[0] ?? 0)} to 0`}
                      pick={(index) => {
                        image.value = at;
                        step.value = index;
                      }}
                    />
                  </td>
                </tr>
              ))}
            </tbody>
          ))}
        </table>
      </div>
      <div class="buttons">
        {sides.map((side, place) => (
          <button
            key={place}
            type="button"
            onClick={() =>
              void saying(study().samplePicture({ side: place, what: "strip", frames: kind }).then(download))
            }
          >
            Save strip as PNG{sides.length > 1 ? `: ${side.title}` : ""}
          </button>
        ))}
      </div>
    </>
  );
}
