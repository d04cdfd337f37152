import * as Comlink from "comlink";
import { useEffect, useRef, useState } from "preact/hooks";
import { PickFiles, PickFolder } from "../files/dropArea.tsx";
import type { GivenFile } from "../../engine/io/index.ts";
import { titleOfGiven } from "../files/given.ts";
import { whole } from "../numbers.ts";
import { datasets } from "../state/lab.ts";
import type { BringOptions, BroughtImages } from "../worker/bringing.ts";
import { plainDatasetName } from "../worker/datasetName.ts";
import { bringer, keepBrought } from "./keeping.ts";
import { colorOfHex, hexOf } from "./painting.ts";

type Progress = { readonly what: string; readonly done: number; readonly total: number | null };

const sizes = [16, 32, null] as const;

const usual: BringOptions = {
  resolution: null,
  transform: "center-crop",
  background: [255, 255, 255],
  greyscale: false,
  areNamesClasses: false,
};

type BringFilesProps = {
  /** What was dropped on the form. */
  readonly dropped: readonly GivenFile[] | null;
  readonly take: (name: string) => void;
};

/** Images of files: read with the options, looked at, and kept. */
export function BringFiles({ dropped, take }: BringFilesProps) {
  const [files, setFiles] = useState<readonly GivenFile[] | null>(null);
  const [options, setOptions] = useState(usual);
  const [brought, show] = useState<BroughtImages | null>(null);
  const [progress, setProgress] = useState<Progress | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [name, setName] = useState("");
  const asked = useRef(0);

  const read = async (given: readonly GivenFile[], wanted: BringOptions, isChosen: boolean): Promise<void> => {
    const number = ++asked.current;
    const isCurrent = (): boolean => number === asked.current;
    setProblem(null);
    show(null);
    setProgress({ what: "opening", done: 0, total: null });
    try {
      const worker = await bringer();
      const found = await worker.read(
        titleOfGiven(given),
        given,
        wanted,
        isChosen,
        Comlink.proxy((what: string, done: number, total: number | null) => {
          if (isCurrent()) setProgress({ what, done, total });
        }),
      );
      if (!isCurrent()) return;
      show(found);
      setOptions({ ...wanted, resolution: found.made });
      if (!isChosen) setName(found.name);
    } catch (reason) {
      if (isCurrent()) setProblem(reason instanceof Error ? reason.message : String(reason));
    } finally {
      if (isCurrent()) setProgress(null);
    }
  };
  const pick = (given: readonly GivenFile[]): void => {
    setFiles(given);
    setOptions(usual);
    void read(given, usual, false);
  };
  useEffect(() => {
    if (dropped !== null) pick(dropped);
  }, [dropped]);
  const change = (part: Partial<BringOptions>): void => {
    const wanted = { ...options, ...part };
    setOptions(wanted);
    if (files !== null) void read(files, wanted, true);
  };
  const keep = async (): Promise<void> => {
    setProblem(null);
    await keepBrought(name, [], take).catch((reason: unknown) =>
      setProblem(reason instanceof Error ? reason.message : String(reason)),
    );
  };
  return (
    <>
      <p class="about">
        Drop pictures here: a folder, a zip, single files, IDX files such as Fashion-MNIST&apos;s, or NumPy arrays.
        Folders become classes. Nothing leaves this machine.
      </p>
      <div class="buttons small">
        <PickFiles title="Pick files" take={pick} isMultiple />
        <PickFolder title="Pick a folder" take={pick} />
      </div>
      {files !== null && <Options options={options} change={change} />}
      <div role="status">
        {progress !== null && (
          <>
            <p class="about">
              {progress.what}
              {progress.total === null ? "…" : `: ${whole(progress.done)} of ${whole(progress.total)}`}
            </p>
            <progress
              aria-label="Reading images"
              max={progress.total ?? 1}
              {...(progress.total === null ? {} : { value: progress.done })}
            />
          </>
        )}
      </div>
      {problem !== null && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {brought !== null && <Preview brought={brought} />}
      {brought !== null && (
        <>
          <label class="field wideField">
            <span>Name of the data set</span>
            <input type="text" value={name} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          {datasets.value.some((each) => each.name === plainDatasetName(name.trim())) && (
            <p class="about">There is a data set of this name: this one takes its place.</p>
          )}
          <button type="button" class="primary" disabled={name.trim() === ""} onClick={() => void keep()}>
            Keep and train on them
          </button>
        </>
      )}
    </>
  );
}

type OptionsProps = { readonly options: BringOptions; readonly change: (part: Partial<BringOptions>) => void };

function Options({ options, change }: OptionsProps) {
  const { resolution, transform, background, greyscale, areNamesClasses } = options;
  const isMade = resolution !== null;
  return (
    <>
      <fieldset class="choices">
        <legend>Size</legend>
        {sizes.map((size) => (
          <label key={size}>
            <input
              type="radio"
              name="bring-size"
              checked={resolution === size}
              onChange={() => change({ resolution: size })}
            />
            <span>{size === null ? "As they are: all square and of one size" : `${size}×${size}`}</span>
          </label>
        ))}
      </fieldset>
      <fieldset class="choices" disabled={!isMade}>
        <legend>Pictures that aren&apos;t square</legend>
        <label>
          <input
            type="radio"
            name="bring-square"
            checked={transform === "center-crop"}
            onChange={() => change({ transform: "center-crop" })}
          />
          <span>Cut the middle out</span>
        </label>
        <label>
          <input
            type="radio"
            name="bring-square"
            checked={transform === "contain"}
            onChange={() => change({ transform: "contain" })}
          />
          <span>Keep all, on the background</span>
        </label>
        <label>
          <input
            type="color"
            aria-label="Background"
            value={hexOf(background)}
            onChange={(event) => change({ background: colorOfHex(event.currentTarget.value) })}
          />
          <span>Background, also of transparent pictures</span>
        </label>
        <label>
          <input
            type="checkbox"
            checked={greyscale}
            onChange={(event) => change({ greyscale: event.currentTarget.checked })}
          />
          <span>Grey</span>
        </label>
        <label>
          <input
            type="checkbox"
            checked={areNamesClasses}
            onChange={(event) => change({ areNamesClasses: event.currentTarget.checked })}
          />
          <span>Classes from file names such as cat.12.jpg</span>
        </label>
      </fieldset>
    </>
  );
}

function Preview({ brought }: { readonly brought: BroughtImages }) {
  const [address, setAddress] = useState<string | null>(null);
  const { preview, count, resolution, channels, classes, classNames, told } = brought;
  useEffect(() => {
    const made = URL.createObjectURL(preview);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [preview]);
  const names =
    classNames === null ? "" : `: ${classNames.slice(0, 8).join(", ")}${classNames.length > 8 ? ", …" : ""}`;
  return (
    <>
      {address !== null && <img class="bringPreview" src={address} alt={`Some of the ${whole(count)} images`} />}
      <p>
        <b>{whole(count)}</b> images, {resolution}×{resolution}, {channels === 1 ? "grey" : "colour"}
        {classes === 0 ? ", no classes" : `, ${classes} ${classes === 1 ? "class" : "classes"}${names}`}
      </p>
      {told.length > 0 && (
        <ul class="told" aria-label="What was left out, changed or guessed">
          {told.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
    </>
  );
}
