import "../files/files.css";
import "./data.css";
import { useState } from "preact/hooks";
import { DropArea } from "../files/dropArea.tsx";
import type { GivenFile } from "../../engine/io/index.ts";
import { BringFiles } from "./bringFiles.tsx";
import { DrawImages } from "./drawImages.tsx";

type BringDataProps = { readonly done: () => void; readonly take: (name: string) => void };

/** Making a data set of one's own images: of files, or drawn by hand. */
export function BringData({ done, take }: BringDataProps) {
  const [way, go] = useState<"files" | "draw">("files");
  const [dropped, drop] = useState<readonly GivenFile[] | null>(null);
  const chosen = (name: string): void => {
    take(name);
    done();
  };
  return (
    <DropArea
      name="bring"
      take={(files) => {
        go("files");
        drop(files);
      }}
    >
      <div class="segments" role="group" aria-label="Where images come from">
        <button type="button" aria-pressed={way === "files"} onClick={() => go("files")}>
          Files
        </button>
        <button type="button" aria-pressed={way === "draw"} onClick={() => go("draw")}>
          Draw by hand
        </button>
      </div>
      {way === "files" ? <BringFiles dropped={dropped} take={chosen} /> : <DrawImages take={chosen} />}
    </DropArea>
  );
}
