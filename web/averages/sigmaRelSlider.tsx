import { useId } from "preact/hooks";

/** Shortest and longest average that the slider reaches. */
const [shortest, longest] = [0.01, 0.25];

/** Places of the slider: a step is 1.6 percent. */
const places = 200;

const lengthAt = (place: number): number =>
  Number((shortest * (longest / shortest) ** (place / places)).toPrecision(3));

const placeOf = (sigmaRel: number): number =>
  Math.round((places * Math.log(sigmaRel / shortest)) / Math.log(longest / shortest));

export type SigmaRelSliderProps = {
  readonly label: string;
  /** What to call it among others. Default: as it is labelled. */
  readonly name?: string;
  readonly value: number;
  /** Told of every move. */
  readonly move: (sigmaRel: number) => void;
  /** Told when the slider is let go. */
  readonly settle?: (sigmaRel: number) => void;
};

/** The length of an average, on a logarithmic scale. */
export function SigmaRelSlider({ label, name, value, move, settle }: SigmaRelSliderProps) {
  const id = useId();
  return (
    <div class="slider sigmaRel">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="range"
        min={0}
        max={places}
        step={1}
        value={placeOf(value)}
        aria-label={name}
        aria-valuetext={`sigma_rel ${value}`}
        onInput={(event) => move(lengthAt(event.currentTarget.valueAsNumber))}
        onChange={(event) => settle?.(lengthAt(event.currentTarget.valueAsNumber))}
      />
      <output for={id}>{value.toFixed(3)}</output>
    </div>
  );
}
