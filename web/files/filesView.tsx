import "./files.css";
import { useEffect } from "preact/hooks";
import { runs, saying } from "../state/lab.ts";
import { DataTable } from "./dataTable.tsx";
import { DropArea } from "./dropArea.tsx";
import { lookAtKept, openRun } from "./moving.ts";
import { OpenRun } from "./openRun.tsx";
import { RunTable } from "./runTable.tsx";
import { Space } from "./space.tsx";

/** Runs and data sets as files: out of the browser's storage and into it. */
export function FilesView() {
  // Changes when a run may have written files.
  const state = runs.value
    .map((run) => `${run.name} ${run.phase.value.kind} ${run.snapshots.value} ${run.grids.value.length}`)
    .join("\n");
  useEffect(() => void saying(lookAtKept()), [state]);
  return (
    <DropArea name="files" take={(files) => void openRun(files)}>
      <OpenRun />
      <RunTable />
      <div class="filesColumn">
        <DataTable />
        <Space />
      </div>
    </DropArea>
  );
}
