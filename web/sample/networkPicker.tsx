import { useEffect, useId } from "preact/hooks";
import { SigmaRelSlider } from "../averages/sigmaRelSlider.tsx";
import { sigmaRel } from "../averages/averagesState.ts";
import { whole } from "../numbers.ts";
import { runs, runTitles } from "../state/lab.ts";
import type { NetworkChoice } from "../worker/studyMessages.ts";
import { files, type NetworkPick, takeFile } from "./sampleState.ts";

export type NetworkPickerProps = {
  readonly title: string;
  readonly about: string;
  readonly pick: NetworkPick;
  /** What to call the choice of none; without it there has to be one. */
  readonly none?: string;
};

/** Chooses a network: an average of a run, its raw weights, or a file. */
export function NetworkPicker({ title, about, pick, none }: NetworkPickerProps) {
  const id = useId();
  const choice = pick.choice.value;
  const run = runs.value.find(({ name }) => choice !== null && choice.kind !== "file" && choice.run === name);
  const stored = run?.snapshots.value;
  useEffect(() => void pick.look(), [stored]);
  const take = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    const held = await takeFile(file);
    if (held !== undefined) pick.choose({ kind: "file", file: held.file });
  };
  return (
    <fieldset
      class="picker"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        void take(event.dataTransfer?.files[0]);
      }}
    >
      <legend>{title}</legend>
      <div class="field">
        <label class="hidden" for={id}>
          {title}
        </label>
        <select
          id={id}
          aria-describedby={`${id}-about`}
          value={textOf(choice)}
          onChange={(event) => pick.choose(choiceOf(event.currentTarget.value))}
        >
          {none !== undefined && <option value="">{none}</option>}
          {none === undefined && choice === null && <option value="">Choose a network</option>}
          {runs.value.map(({ name }) => (
            <optgroup key={name} label={runTitles.value.get(name) ?? name}>
              <option value={`average:${name}`}>{name}: average</option>
              <option value={`raw:${name}`}>{name}: newest raw weights</option>
            </optgroup>
          ))}
          {files.value.length > 0 && (
            <optgroup label="Files">
              {files.value.map(({ file, name }) => (
                <option key={file} value={`file:${file}`}>
                  {name}
                </option>
              ))}
            </optgroup>
          )}
        </select>
        <p id={`${id}-about`} class="about">
          {about}
        </p>
      </div>
      {choice?.kind === "average" && <AverageChoice title={title} choice={choice} pick={pick} />}
      <label class="filePicker">
        Open a file
        <input
          class="hidden"
          type="file"
          accept=".safetensors,.pkl"
          aria-label={`${title}: open a file (.safetensors, or the authors' .pkl)`}
          onChange={(event) => {
            void take(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </label>
      {choice !== null && <Facts pick={pick} />}
    </fieldset>
  );
}

function AverageChoice({
  title,
  choice,
  pick,
}: {
  readonly title: string;
  readonly choice: NetworkChoice & { readonly kind: "average" };
  readonly pick: NetworkPick;
}) {
  const id = useId();
  const known = pick.known.value;
  const times = known.kind === "known" ? known.facts.times : [];
  return (
    <>
      <SigmaRelSlider
        label="sigma_rel"
        name={`${title}: sigma_rel`}
        value={choice.sigmaRel}
        move={(value) => (pick.choice.value = { ...choice, sigmaRel: value })}
        settle={(value) => pick.choose({ ...choice, sigmaRel: value })}
      />
      {times.length > 1 && (
        <div class="field">
          <label for={id}>After</label>
          <select
            id={id}
            aria-label={`${title}: after so many images`}
            value={String(choice.nimg ?? "")}
            onChange={(event) => {
              const { value } = event.currentTarget;
              pick.choose({ ...choice, nimg: value === "" ? null : Number(value) });
            }}
          >
            <option value="">the newest: {whole(times.at(-1) ?? 0)} images</option>
            {times.slice(0, -1).map((time) => (
              <option key={time} value={String(time)}>
                {whole(time)} images
              </option>
            ))}
          </select>
        </div>
      )}
    </>
  );
}

function Facts({ pick }: { readonly pick: NetworkPick }) {
  const known = pick.known.value;
  switch (known.kind) {
    case "asking":
      return <p class="about">Reading…</p>;
    case "unknown":
      return (
        <p class="about problem" role="alert">
          {known.reason}
        </p>
      );
    case "known": {
      const { title, resolution, channels, labelDim, parameters } = known.facts;
      return (
        <p class="about">
          {title}: {resolution}×{resolution},{" "}
          {channels === 1 ? "grey" : channels === 3 ? "colour" : `${channels} channels`},{" "}
          {labelDim === 0 ? "no labels" : `${labelDim} classes`}, {whole(parameters)} parameters.
        </p>
      );
    }
  }
}

function textOf(choice: NetworkChoice | null): string {
  if (choice === null) return "";
  return choice.kind === "file" ? `file:${choice.file}` : `${choice.kind}:${choice.run}`;
}

function choiceOf(text: string): NetworkChoice | null {
  const [, kind, rest = ""] = /^(average|raw|file):(.*)$/.exec(text) ?? [];
  switch (kind) {
    case "average":
      return { kind, run: rest, sigmaRel: sigmaRel.value, nimg: null };
    case "raw":
      return { kind, run: rest };
    case "file":
      return { kind, file: Number(rest) };
    default:
      return null;
  }
}
