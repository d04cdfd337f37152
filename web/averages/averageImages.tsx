import { Pixels } from "../charts/pixels.tsx";
import { whole } from "../numbers.ts";
import { drawn } from "./averagesState.ts";

/** What the average makes of noise that is always the same. */
export function AverageImages({ run }: { readonly run: string }) {
  const shown = drawn.value?.run === run ? drawn.value.average : null;
  if (shown === null) {
    return (
      <>
        <h2>Samples</h2>
        <p class="quiet">Sampling…</p>
      </>
    );
  }
  const { images, labels, sigmaRel, nimg, seconds, steps } = shown;
  const [count = 0, channels = 0, height = 0, width = 0] = images.shape;
  const kinds = [...new Set(labels)];
  return (
    <>
      <div class="panelHead">
        <h2>Samples</h2>
        <span class="quiet" role="status">
          sigma_rel {sigmaRel.toFixed(3)} in {seconds.toFixed(2)} s
        </span>
      </div>
      <Pixels
        pixels={images.pixels}
        size={[channels, height, width]}
        places={Array.from({ length: count }, (_, i) => i)}
        columns={4}
        gap={1}
        class="averageImages"
        label={`${count} samples of the average of sigma_rel ${sigmaRel} after ${whole(nimg)} images: ${kinds.join(", ")}`}
      />
      <p class="quiet">
        The same noise each time, {steps} steps of Heun&apos;s rule. {kinds.join(", ")}.
      </p>
    </>
  );
}
