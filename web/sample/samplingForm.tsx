import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import type { LabelChoice } from "../worker/studyMessages.ts";
import { NetworkPicker } from "./networkPicker.tsx";
import { cancel, change, guide, main, other, sample, sampling, work } from "./sampleState.ts";
import { churnOptions, guidances, imageOptions, type NumberOption, solvers, stepOptions } from "./samplingOptions.ts";

/** Everything that can be chosen of sampling. */
export function SamplingForm() {
  const isPossible = main.choice.value !== null && main.known.value.kind === "known";
  return (
    <form
      class="options"
      aria-label="Sampling"
      // A field that is wrong in a group that is closed is shown, or nobody would see why nothing happens.
      onInvalidCapture={({ target }) => (target as HTMLElement).closest("details")?.setAttribute("open", "")}
      onSubmit={(event) => {
        event.preventDefault();
        if (isPossible) void sample();
      }}
    >
      <NetworkPicker
        title="Network"
        about="An average of a run, its raw weights, or a file that you drop here. Nothing leaves this machine."
        pick={main}
      />
      <NetworkPicker
        title="Compare with"
        about="A second network on the same noise and labels."
        pick={other}
        none="nothing"
      />
      <Progress isPossible={isPossible} />
      <details open>
        <summary>Images</summary>
        <ClassField />
        {imageOptions.map((option) => (
          <NumberField key={option.name} option={option} />
        ))}
      </details>
      <details open>
        <summary>Guidance</summary>
        <GuidanceFields />
      </details>
      <details>
        <summary>Steps</summary>
        <SolverField />
        {stepOptions.map((option) => (
          <NumberField key={option.name} option={option} />
        ))}
      </details>
      <details>
        <summary>Churn</summary>
        {churnOptions.map((option) => (
          <NumberField key={option.name} option={option} />
        ))}
      </details>
    </form>
  );
}

function Progress({ isPossible }: { readonly isPossible: boolean }) {
  const going = work.value;
  return (
    <div class="sampleControls">
      <div class="buttons">
        <button type="submit" class="primary" disabled={!isPossible}>
          Sample
        </button>
        {going !== null && (
          <button type="button" onClick={() => void cancel()}>
            Cancel
          </button>
        )}
      </div>
      {going !== null && (
        <>
          <progress max={going.total} value={going.done} aria-label="Sampling" />
          <p class="quiet">
            {going.what}: {going.done} of {going.total}
          </p>
        </>
      )}
    </div>
  );
}

function Field(props: {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly source: string;
  readonly children: ComponentChildren;
}) {
  const { id, title, about, source, children } = props;
  return (
    <div class="field">
      <label for={id}>{title}</label>
      {children}
      <p id={`${id}-about`} class="about">
        {about} <cite>{source}</cite>
      </p>
    </div>
  );
}

function NumberField({ option }: { readonly option: NumberOption }) {
  const { name, title, about, source, min, max, isWhole = false } = option;
  const id = useId();
  const value = sampling.value[name];
  return (
    <Field id={id} title={title} about={about} source={source}>
      <NumberInput
        id={id}
        value={value}
        min={min}
        max={max}
        isWhole={isWhole}
        empty={name === "sMax" ? Infinity : undefined}
        set={(entered) => change({ [name]: entered })}
      />
    </Field>
  );
}

function NumberInput(props: {
  readonly id: string;
  readonly value: number;
  readonly min: number;
  readonly max?: number | undefined;
  readonly isWhole?: boolean;
  /** What an empty field stands for; without it the value stays. */
  readonly empty?: number | undefined;
  readonly set: (value: number) => void;
}) {
  const { id, value, min, max, isWhole = false, empty, set } = props;
  return (
    <input
      id={id}
      aria-describedby={`${id}-about`}
      type="number"
      inputMode="decimal"
      required={empty === undefined}
      step={isWhole ? 1 : "any"}
      min={min}
      max={max}
      value={Number.isFinite(value) ? value : ""}
      placeholder={empty === Infinity ? "no limit" : undefined}
      onChange={(event) => {
        const input = event.currentTarget;
        if (input.value === "" && empty !== undefined) set(empty);
        // What can't be is left as it is, and the browser says why.
        else if (input.reportValidity()) set(input.valueAsNumber);
      }}
    />
  );
}

function ClassField() {
  const id = useId();
  const known = main.known.value;
  const facts = known.kind === "known" ? known.facts : null;
  if (facts === null || facts.labelDim === 0) return null;
  const { label } = sampling.value;
  const title = (value: number): string => facts.classNames?.[value] ?? `class ${value}`;
  return (
    <Field id={id} title="Class" about="What the images are to show." source="Karras et al. 2024 (EDM2), Section 2">
      <select
        id={id}
        aria-describedby={`${id}-about`}
        value={label.kind === "class" ? String(label.value) : label.kind}
        onChange={(event) => change({ label: labelOf(event.currentTarget.value) })}
      >
        <option value="spread">all classes in turn</option>
        <option value="drawn">drawn by the seed</option>
        <option value="none">none: without a label</option>
        {Array.from({ length: facts.labelDim }, (_, value) => (
          <option key={value} value={String(value)}>
            {title(value)}
          </option>
        ))}
      </select>
    </Field>
  );
}

function labelOf(text: string): LabelChoice {
  if (text === "spread" || text === "drawn" || text === "none") return { kind: text };
  return { kind: "class", value: Number(text) };
}

function SolverField() {
  const id = useId();
  return (
    <Field id={id} title="Solver" about="The rule of each step." source="Karras et al. 2022 (EDM), Section 3">
      <select
        id={id}
        aria-describedby={`${id}-about`}
        value={sampling.value.solver}
        onChange={(event) => {
          const chosen = solvers.find(([name]) => name === event.currentTarget.value);
          if (chosen !== undefined) change({ solver: chosen[0] });
        }}
      >
        {solvers.map(([name, title]) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </select>
    </Field>
  );
}

function GuidanceFields() {
  const [kindId, weightId, lowId, highId] = [useId(), useId(), useId(), useId()];
  const { guidance, weight, interval } = sampling.value;
  const [low, high] = interval;
  const [, , about, source] = guidances.find(([kind]) => kind === guidance) ?? ["off", "Off", "", ""];
  const kynkaanniemi = "Kynkäänniemi et al. 2024, Applying Guidance in a Limited Interval";
  return (
    <>
      <Field id={kindId} title="Guidance" about={about} source={source}>
        <select
          id={kindId}
          aria-describedby={`${kindId}-about`}
          value={guidance}
          onChange={(event) => {
            const chosen = guidances.find(([kind]) => kind === event.currentTarget.value);
            if (chosen !== undefined) change({ guidance: chosen[0] });
          }}
        >
          {guidances.map(([kind, title]) => (
            <option key={kind} value={kind}>
              {title}
            </option>
          ))}
        </select>
      </Field>
      <GuidanceNote />
      {guidance === "network" && (
        <NetworkPicker title="Guiding network" about="It knows the same classes or none." pick={guide} />
      )}
      {guidance !== "off" && (
        <>
          <Field
            id={weightId}
            title="Weight"
            about="1 is no guidance, larger values push further."
            source="Karras et al. 2024 (EDM2), Section 4"
          >
            <NumberInput id={weightId} value={weight} min={0} set={(value) => change({ weight: value })} />
          </Field>
          <Field id={lowId} title="From sigma" about="Guides above this noise level only." source={kynkaanniemi}>
            <NumberInput id={lowId} value={low} min={0} set={(value) => change({ interval: [value, high] })} />
          </Field>
          <Field id={highId} title="To sigma" about="And up to this one; empty: no limit." source={kynkaanniemi}>
            <NumberInput
              id={highId}
              value={high}
              min={0}
              empty={Infinity}
              set={(value) => change({ interval: [low, value] })}
            />
          </Field>
        </>
      )}
    </>
  );
}

/** What speaks against the kind of guidance that is chosen. */
function GuidanceNote() {
  const known = main.known.value;
  if (known.kind !== "known") return null;
  const { guidance } = sampling.value;
  const { guide: earlier, dropsLabels, labelDim } = known.facts;
  const problem = ((): string | null => {
    if (guidance === "earlier") {
      return earlier === null
        ? "This network has no earlier average: choose a run that has stored some at earlier times."
        : `Guided by sigma_rel ${Number(earlier.sigmaRel.toPrecision(3))} after ${earlier.nimg.toLocaleString("en")} images.`;
    }
    if (guidance !== "unlabelled") return null;
    if (labelDim === 0) return "This network takes no labels, so it can't guide itself.";
    if (dropsLabels === false)
      return "This network was trained without label dropout: what it says without labels means little.";
    return dropsLabels === null ? "Whether this network was trained with label dropout isn't known." : null;
  })();
  return problem === null ? null : <p class="about">{problem}</p>;
}
