/** Colours of the page for what is drawn on a canvas. */
import { signal } from "@preact/signals";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Changes when charts have to be drawn in other colours. */
export const colorScheme = signal(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => void (colorScheme.value = dark.matches ? "dark" : "light"));

/** The value of a CSS variable of the page. */
export function themeColor(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

/** Colours of runs, told apart by people who see colours differently, too (after Okabe and Ito 2008). */
const runColors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a5195", "#5c5c5c"];
const runColorsInDark = ["#4aa8e0", "#ff8a3d", "#2fc79a", "#e59ac4", "#e6c229", "#8fd0f5", "#b891d6", "#b5b5b5"];

/** The colour with a number; after the last they begin again. */
export function runColor(index: number): string {
  const colors = colorScheme.value === "dark" ? runColorsInDark : runColors;
  return colors[index % colors.length] ?? "#5c5c5c";
}
