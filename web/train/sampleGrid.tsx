import { useEffect, useState } from "preact/hooks";
import { whole } from "../numbers.ts";
import { saying } from "../state/lab.ts";
import type { Run } from "../state/run.ts";

/** Samples on the same noise as training goes on; a slider goes back in time. */
export function SampleGrid({ run }: { readonly run: Run | null }) {
  const [chosen, choose] = useState<{ readonly run: string; readonly nimg: number } | null>(null);
  const [picture, show] = useState<{ readonly address: string; readonly nimg: number } | null>(null);
  const grids = run?.grids.value ?? [];
  const past = chosen !== null && chosen.run === run?.name && grids.includes(chosen.nimg) ? chosen.nimg : null;
  const nimg = past ?? grids.at(-1) ?? null;
  useEffect(() => {
    if (run === null || nimg === null) {
      show(null);
      return undefined;
    }
    let isOver = false;
    void saying(
      run.grid(nimg).then((blob) => {
        if (!isOver) show({ address: URL.createObjectURL(blob), nimg });
      }),
    );
    return () => void (isOver = true);
  }, [run, nimg]);
  useEffect(
    () => () => {
      if (picture !== null) URL.revokeObjectURL(picture.address);
    },
    [picture],
  );
  return (
    <>
      <div class="panelHead">
        <h2>Samples</h2>
        {nimg !== null && <span class="quiet">after {whole(nimg)} images</span>}
      </div>
      {picture === null ? (
        <p class="quiet">
          The first grid comes within seconds of training: the same noise each time, so that one sees it learn.
        </p>
      ) : (
        <img
          class="grid"
          src={picture.address}
          alt={`Samples of ${run?.name ?? "the run"} after ${whole(picture.nimg)} images of training`}
        />
      )}
      {run !== null && grids.length > 1 && (
        <label class="slider">
          <span>Back in time</span>
          <input
            type="range"
            min={0}
            max={grids.length - 1}
            value={nimg === null ? 0 : grids.indexOf(nimg)}
            aria-valuetext={nimg === null ? "" : `after ${whole(nimg)} images`}
            onInput={(event) => {
              const index = event.currentTarget.valueAsNumber;
              const at = grids[index];
              choose(index === grids.length - 1 || at === undefined ? null : { run: run.name, nimg: at });
            }}
          />
        </label>
      )}
    </>
  );
}
