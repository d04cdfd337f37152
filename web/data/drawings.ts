/** Drawings that are collected to a data set. They stay in this browser until they are removed. */
import { signal } from "@preact/signals";
import { say } from "../state/lab.ts";
import { drawingSize } from "./painting.ts";

/** A drawing: red, green, blue of each pixel, row by row. */
export type KeptDrawing = { readonly id: number; readonly pixels: Uint8Array; readonly className: string };

const key = "evenkeel-drawings";

export const drawings = signal<readonly KeptDrawing[]>(read());

let lastId = drawings.value.reduce((most, { id }) => Math.max(most, id), 0);

export function addDrawing(pixels: Uint8Array, className: string): void {
  write([...drawings.value, { id: ++lastId, pixels, className }]);
}

export function changeDrawing(id: number, pixels: Uint8Array, className: string): void {
  write(drawings.value.map((each) => (each.id === id ? { id, pixels, className } : each)));
}

/** A copy stands behind its original. */
export function duplicateDrawing(id: number): void {
  write(drawings.value.flatMap((each) => (each.id === id ? [each, { ...each, id: ++lastId }] : [each])));
}

export function removeDrawing(id: number): void {
  write(drawings.value.filter((each) => each.id !== id));
}

export function removeAllDrawings(): void {
  write([]);
}

type Written = { readonly pixels: string; readonly className: string };

function write(list: readonly KeptDrawing[]): void {
  drawings.value = list;
  try {
    const written: readonly Written[] = list.map(({ pixels, className }) => ({
      pixels: btoa(String.fromCharCode(...pixels)),
      className,
    }));
    localStorage.setItem(key, JSON.stringify(written));
  } catch {
    say("note", "The browser doesn't keep these drawings when the page is closed. Make a data set of them before.");
  }
}

function read(): readonly KeptDrawing[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    if (!Array.isArray(list)) return [];
    return list.filter(isWritten).flatMap(({ pixels, className }, i) => {
      const bytes = Uint8Array.from(atob(pixels), (character) => character.charCodeAt(0));
      return bytes.length === 3 * drawingSize ** 2 ? [{ id: i + 1, pixels: bytes, className }] : [];
    });
  } catch {
    return [];
  }
}

function isWritten(value: unknown): value is Written {
  if (typeof value !== "object" || value === null || !("pixels" in value) || !("className" in value)) return false;
  return typeof value.pixels === "string" && typeof value.className === "string";
}
