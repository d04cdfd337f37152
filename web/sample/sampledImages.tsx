import { Pixels } from "../charts/pixels.tsx";
import { download } from "../state/download.ts";
import { saying } from "../state/lab.ts";
import { study } from "../state/workers.ts";
import type { Sampled, SampledSide } from "../worker/studyMessages.ts";
import { image } from "./sampleState.ts";
import { imageSize } from "./sides.ts";

/** What came out, of both networks. */
export function SampledImages({ sampled: { sides, seeds } }: { readonly sampled: Sampled }) {
  return (
    <>
      <h2>Images</h2>
      <div class="sides">
        {sides.map((side, place) => (
          <figure key={place}>
            <figcaption>
              <b>{side.title}</b> <Cost side={side} />
            </figcaption>
            <Pixels
              pixels={side.denoised}
              size={imageSize(side)}
              places={seeds.map((_, i) => (side.sigmas.length - 1) * seeds.length + i)}
              columns={Math.ceil(Math.sqrt(seeds.length))}
              gap={1}
              class="sampledImages"
              label={`${seeds.length} images of ${side.title}: ${[...new Set(side.labels)].join(", ")}`}
              pick={(index) => (image.value = index)}
            />
            <button
              type="button"
              onClick={() =>
                void saying(study().samplePicture({ side: place, what: "images", frames: "denoised" }).then(download))
              }
            >
              Save images as PNG<span class="hidden"> of {side.title}</span>
            </button>
          </figure>
        ))}
      </div>
    </>
  );
}

function Cost({ side: { seconds, evaluations, guide } }: { readonly side: SampledSide }) {
  return (
    <span class="quiet">
      {evaluations} evaluations, {seconds.toFixed(2)} s{guide === null ? "" : `; guided by ${guide}`}
    </span>
  );
}
