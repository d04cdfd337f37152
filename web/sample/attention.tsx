import { useEffect, useId, useMemo, useState } from "preact/hooks";
import { PixelHeat } from "../charts/pixelHeat.tsx";
import { Pixels } from "../charts/pixels.tsx";
import { short } from "../numbers.ts";
import type { LayerAttention, Sampled, SampledSide } from "../worker/studyMessages.ts";
import { attention, frames, image, lookAt, type Looked, step } from "./sampleState.ts";
import { imageSize, sigmaText } from "./sides.ts";

/** Where the network looks, from a place of the image, in each layer and head. */
export function Attention({ sampled: { sides, seeds } }: { readonly sampled: Sampled }) {
  const [isOpen, open] = useState(false);
  const [wanted, chooseSide] = useState(0);
  const place = Math.min(wanted, sides.length - 1);
  const side = sides[place];
  // The last frame is the image: nobody was asked about it.
  const during = Math.min(step.value, (side?.sigmas.length ?? 2) - 2);
  useEffect(() => {
    if (isOpen) void lookAt(place, image.value, during);
  }, [isOpen, place, image.value, during, sides]);
  const looked = attention.value?.side === place ? attention.value : null;
  return (
    <>
      <div class="panelHead">
        <h2>Attention</h2>
        {sides.length > 1 && (
          <div class="segments" role="group" aria-label="Whose attention is shown">
            {sides.map(({ title }, i) => (
              <button key={i} type="button" aria-pressed={i === place} onClick={() => chooseSide(i)}>
                {title}
              </button>
            ))}
          </div>
        )}
        <button type="button" aria-expanded={isOpen} onClick={() => open(!isOpen)}>
          {isOpen ? "Hide attention" : "Show attention"}
        </button>
      </div>
      <p class="quiet">
        Where the network looks while it denoises a place of the image: each layer that attends, head by head.{" "}
        <cite>Vaswani et al. 2017; Karras et al. 2024 (EDM2), Appendix B</cite>
      </p>
      {isOpen && side !== undefined && looked === null && <p class="quiet">Looking…</p>}
      {isOpen && side !== undefined && looked !== null && <Maps side={side} looked={looked} count={seeds.length} />}
    </>
  );
}

function Maps({
  side,
  looked,
  count,
}: {
  readonly side: SampledSide;
  readonly looked: Looked;
  readonly count: number;
}) {
  const [rowId, columnId] = [useId(), useId()];
  const size = imageSize(side);
  const [, height, width] = size;
  const [[row, column], choose] = useState<readonly [number, number]>([Math.floor(height / 2), Math.floor(width / 2)]);
  if (looked.layers.length === 0) return <p>This network has no layer that attends.</p>;
  const place = looked.step * count + looked.image;
  return (
    <div class="attention">
      <div class="query">
        <QueryPicker side={side} place={place} row={row} column={column} choose={choose} />
        <label class="slider" for={rowId}>
          <span>Query row</span>
          <input
            id={rowId}
            type="range"
            min={0}
            max={height - 1}
            value={row}
            onInput={(event) => choose([event.currentTarget.valueAsNumber, column])}
          />
          <output>{row}</output>
        </label>
        <label class="slider" for={columnId}>
          <span>Query column</span>
          <input
            id={columnId}
            type="range"
            min={0}
            max={width - 1}
            value={column}
            onInput={(event) => choose([row, event.currentTarget.valueAsNumber])}
          />
          <output>{column}</output>
        </label>
        <p class="quiet">
          At sigma {sigmaText(side.sigmas[looked.step] ?? 0)}. Press a place of the image, or move the sliders.
        </p>
      </div>
      <div class="maps">
        {looked.layers.flatMap((layer) =>
          Array.from({ length: layer.heads }, (_, head) => (
            <HeadMap key={`${layer.layer} ${head}`} layer={layer} head={head} at={[row / height, column / width]} />
          )),
        )}
      </div>
    </div>
  );
}

/** The image, on which a place can be pressed. */
function QueryPicker(props: {
  readonly side: SampledSide;
  readonly place: number;
  readonly row: number;
  readonly column: number;
  readonly choose: (place: readonly [number, number]) => void;
}) {
  const { side, place, row, column, choose } = props;
  const size = imageSize(side);
  const [, height, width] = size;
  const press = (event: MouseEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const at = (share: number, all: number): number => Math.min(all - 1, Math.max(0, Math.floor(share * all)));
    choose([at((event.clientY - box.top) / box.height, height), at((event.clientX - box.left) / box.width, width)]);
  };
  return (
    <div class="pixelHeat queryImage" onClick={press}>
      <Pixels
        pixels={side[frames.value]}
        size={size}
        places={[place]}
        columns={1}
        label={`The image at this step; the query is in row ${row}, column ${column}`}
      />
      <span
        class="mark"
        style={{
          left: `${(100 * column) / width}%`,
          top: `${(100 * row) / height}%`,
          width: `${100 / width}%`,
          height: `${100 / height}%`,
        }}
      />
    </div>
  );
}

/** A head's attention from the place of the features that has the query's. */
function HeadMap(props: {
  readonly layer: LayerAttention;
  readonly head: number;
  readonly at: readonly [row: number, column: number];
}) {
  const { layer, head, at } = props;
  const [height, width] = layer.size;
  const query = Math.floor(at[0] * height) * width + Math.floor(at[1] * width);
  const keys = height * width;
  const values = useMemo(() => {
    const from = (head * keys + query) * keys;
    return layer.weights.subarray(from, from + keys);
  }, [layer, head, query]);
  const most = values.reduce((largest, value) => Math.max(largest, value), 0);
  const place = values.indexOf(most);
  return (
    <figure>
      <PixelHeat
        values={values}
        size={layer.size}
        mark={query}
        label={`${layer.layer}, head ${head + 1}: looks most at row ${Math.floor(place / width)}, column ${place % width} of ${height}×${width}, ${short(100 * most)} %`}
      />
      <figcaption>
        {layer.layer}, head {head + 1}
        <br />
        <span class="quiet">up to {short(100 * most)} %</span>
      </figcaption>
    </figure>
  );
}
