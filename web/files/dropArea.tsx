import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { saying } from "../state/lab.ts";
import type { GivenFile } from "../../engine/io/index.ts";
import { filesOfDrop, filesOfInput } from "./given.ts";

type Take = (files: readonly GivenFile[]) => void;

/** An area on which files can be dropped, wherever in it. */
export function DropArea({
  take,
  name,
  children,
}: {
  readonly take: Take;
  /** Its class, beside the one that says that files are over it. */
  readonly name: string;
  readonly children: ComponentChildren;
}) {
  const [isOver, setOver] = useState(false);
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  return (
    <div
      class={`${name} dropArea${isOver ? " over" : ""}`}
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        if (event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget)) return;
        setOver(false);
      }}
      onDrop={(event) => {
        setOver(false);
        if (!hasFiles(event) || event.dataTransfer === null) return;
        event.preventDefault();
        void saying(filesOfDrop(event.dataTransfer)).then((files) => {
          if (files !== undefined && files.length > 0) take(files);
        });
      }}
    >
      {children}
    </div>
  );
}

type PickProps = { readonly title: string; readonly take: Take; readonly accept?: string; readonly disabled?: boolean };

/** A button that picks files. */
export function PickFiles({
  title,
  take,
  accept,
  disabled = false,
  isMultiple = false,
}: PickProps & { readonly isMultiple?: boolean }) {
  return (
    <label class={`pick${disabled ? " disabled" : ""}`}>
      <input
        type="file"
        multiple={isMultiple}
        accept={accept}
        disabled={disabled}
        onChange={(event) => {
          const files = filesOfInput(event.currentTarget);
          if (files.length > 0) take(files);
        }}
      />
      <span>{title}</span>
    </label>
  );
}

/** A button that picks a folder with all that is in it. */
export function PickFolder({ title, take, disabled = false }: PickProps) {
  return (
    <label class={`pick${disabled ? " disabled" : ""}`}>
      <input
        type="file"
        // The types of JSX don't know it; all browsers do.
        {...{ webkitdirectory: true }}
        disabled={disabled}
        onChange={(event) => {
          const files = filesOfInput(event.currentTarget);
          if (files.length > 0) take(files);
        }}
      />
      <span>{title}</span>
    </label>
  );
}
