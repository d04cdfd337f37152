import { useState } from "preact/hooks";
import { saying } from "../state/lab.ts";
import { addDrawing, changeDrawing, drawings, duplicateDrawing, removeAllDrawings, removeDrawing } from "./drawings.ts";
import { keepBrought, bringer } from "./keeping.ts";
import {
  blank,
  type Color,
  colorName,
  colorOfHex,
  drawingSize,
  filled,
  hexOf,
  isSame,
  lineOf,
  mirrored,
  painted,
  palette,
  type Place,
  white,
} from "./painting.ts";
import { PixelCanvas, Thumbnail } from "./pixelCanvas.tsx";

const tools = ["brush", "eraser", "fill"] as const;
type Tool = (typeof tools)[number];

/** Steps that can be undone. */
const mostSteps = 200;

type Sheet = { readonly pixels: Uint8Array; readonly before: readonly Uint8Array[] };

/** Drawing images by hand, and collecting them. */
export function DrawImages({ take }: { readonly take: (name: string) => void }) {
  const [sheet, setSheet] = useState<Sheet>({ pixels: blank(), before: [] });
  const [last, setLast] = useState<Place>([0, 0]);
  const [tool, choose] = useState<Tool>("brush");
  const [color, setColor] = useState<Color>(palette[0]?.[1] ?? [0, 0, 0]);
  const [isMirrored, mirror] = useState(false);
  const [className, setClassName] = useState("");
  const [edited, edit] = useState<number | null>(null);
  const change = (pixels: Uint8Array, isStep: boolean): void =>
    setSheet(({ pixels: old, before }) => {
      if (pixels === old) return { pixels, before };
      return { pixels, before: isStep ? [...before.slice(-mostSteps + 1), old] : before };
    });
  const touch = (place: Place, isFirst: boolean): void => {
    setLast(place);
    if (tool === "fill") {
      if (isFirst) change(filled(sheet.pixels, place, color), true);
      return;
    }
    const places = mirrored(isFirst ? [place] : lineOf(last, place), isMirrored);
    change(painted(sheet.pixels, places, tool === "eraser" ? white : color), isFirst);
  };
  const undo = (): void =>
    setSheet(({ pixels, before }) => ({ pixels: before.at(-1) ?? pixels, before: before.slice(0, -1) }));
  const begin = (pixels: Uint8Array): void => setSheet({ pixels, before: [] });
  const collect = (): void => {
    if (edited === null) addDrawing(sheet.pixels, className);
    else changeDrawing(edited, sheet.pixels, className);
    edit(null);
    begin(blank());
  };
  const number = drawings.value.findIndex(({ id }) => id === edited) + 1;
  return (
    <div class="draw">
      <div class="segments" role="group" aria-label="Tool">
        {tools.map((each) => (
          <button key={each} type="button" aria-pressed={each === tool} onClick={() => choose(each)}>
            {each.charAt(0).toUpperCase() + each.slice(1)}
          </button>
        ))}
      </div>
      <Colors color={color} setColor={setColor} />
      <PixelCanvas pixels={sheet.pixels} touch={touch} undo={undo} />
      <div class="buttons small">
        <button type="button" disabled={sheet.before.length === 0} onClick={undo}>
          Undo
        </button>
        <button type="button" onClick={() => change(blank(), true)}>
          Clear
        </button>
        <label class="check">
          <input type="checkbox" checked={isMirrored} onChange={(event) => mirror(event.currentTarget.checked)} />
          <span>Mirror</span>
        </label>
      </div>
      <label class="field wideField">
        <span>Class name (optional)</span>
        <input
          type="text"
          value={className}
          placeholder="cat"
          onInput={(event) => setClassName(event.currentTarget.value)}
        />
      </label>
      <div class="buttons small">
        <button type="button" class="primary" onClick={collect}>
          {edited === null ? "Add to the set" : `Save drawing ${number}`}
        </button>
        {edited !== null && (
          <button
            type="button"
            onClick={() => {
              edit(null);
              begin(blank());
            }}
          >
            Leave it as it was
          </button>
        )}
      </div>
      <Collected
        edit={(drawing) => {
          edit(drawing.id);
          setClassName(drawing.className);
          begin(drawing.pixels);
        }}
      />
      {drawings.value.length > 0 && <UseDrawings take={take} />}
    </div>
  );
}

function Colors({ color, setColor }: { readonly color: Color; readonly setColor: (color: Color) => void }) {
  return (
    <div class="palette" role="group" aria-label="Colour">
      {palette.map(([name, each]) => (
        <button
          key={name}
          type="button"
          title={name}
          aria-label={name}
          aria-pressed={isSame(each, color)}
          style={{ background: hexOf(each) }}
          onClick={() => setColor(each)}
        />
      ))}
      <input
        type="color"
        aria-label={`Another colour, now ${colorName(color)}`}
        value={hexOf(color)}
        onInput={(event) => setColor(colorOfHex(event.currentTarget.value))}
      />
    </div>
  );
}

type Edit = { readonly edit: (drawing: (typeof drawings.value)[number]) => void };

function Collected({ edit }: Edit) {
  const list = drawings.value;
  if (list.length === 0) {
    return (
      <p class="about">
        A handful of drawings is enough: training sees each of them again and again, and learns them by heart unless
        there are many.
      </p>
    );
  }
  return (
    <>
      <p class="about" role="status">
        {list.length} {list.length === 1 ? "drawing" : "drawings"} in the set. A handful is enough to train on: each is
        seen again and again.
      </p>
      <ul class="collected" aria-label="Drawings in the set">
        {list.map((drawing, i) => (
          <li key={drawing.id}>
            <Thumbnail
              pixels={drawing.pixels}
              title={`Drawing ${i + 1}${drawing.className === "" ? "" : `, ${drawing.className}`}`}
            />
            <span class="quiet">{drawing.className}</span>
            <div>
              <button type="button" aria-label={`Edit drawing ${i + 1}`} title="Edit" onClick={() => edit(drawing)}>
                ✎
              </button>
              <button
                type="button"
                aria-label={`Duplicate drawing ${i + 1}`}
                title="Duplicate"
                onClick={() => duplicateDrawing(drawing.id)}
              >
                +
              </button>
              <button
                type="button"
                aria-label={`Delete drawing ${i + 1}`}
                title="Delete"
                onClick={() => removeDrawing(drawing.id)}
              >
                ×
              </button>
            </div>
          </li>
        ))}
      </ul>
      <button
        type="button"
        class="quietButton"
        onClick={() => {
          if (confirm(`Delete all ${list.length} drawings?`)) removeAllDrawings();
        }}
      >
        Delete all drawings
      </button>
    </>
  );
}

function UseDrawings({ take }: { readonly take: (name: string) => void }) {
  const [name, setName] = useState("drawings");
  const use = async (): Promise<void> => {
    const worker = await bringer();
    const list = drawings.value.map(({ pixels, className }) => ({ pixels, className }));
    const { told } = await worker.draw(list, drawingSize);
    await keepBrought(name, told, take);
  };
  return (
    <>
      <label class="field wideField">
        <span>Name of the data set</span>
        <input type="text" value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <button type="button" class="primary" disabled={name.trim() === ""} onClick={() => void saying(use())}>
        Keep and train on {drawings.value.length === 1 ? "it" : `these ${drawings.value.length}`}
      </button>
    </>
  );
}
