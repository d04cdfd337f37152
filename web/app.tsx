/** The page: its tabs, what it has to say, and the view that is chosen. */
import { signal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { Messages } from "./messages.tsx";
import { Tabs, type Tab } from "./tabs.tsx";
import { TrainView } from "./train/trainView.tsx";
import { ViewBoundary } from "./viewBoundary.tsx";

const AveragesView = lazy(async () => (await import("./averages/averagesView.tsx")).AveragesView);
const SampleView = lazy(async () => (await import("./sample/sampleView.tsx")).SampleView);
const EngineView = lazy(async () => (await import("./engine/engineView.tsx")).EngineView);
const FilesView = lazy(async () => (await import("./files/filesView.tsx")).FilesView);

const tabs: readonly Tab[] = [
  { name: "train", title: "Train", view: TrainView },
  { name: "averages", title: "Averages", view: AveragesView },
  { name: "sample", title: "Sample", view: SampleView },
  { name: "engine", title: "Engine", view: EngineView },
  { name: "files", title: "Files", view: FilesView },
];

const chosen = signal("train");

export function App() {
  const View = tabs.find(({ name }) => name === chosen.value)?.view ?? TrainView;
  return (
    <>
      <header class="top">
        <h1>
          <img src="./icon.svg" alt="" width="28" height="28" /> Evenkeel <span>lab</span>
        </h1>
        <Tabs tabs={tabs} chosen={chosen} />
      </header>
      <Messages />
      <main>
        <div id="view" role="tabpanel" aria-labelledby={`tab-${chosen.value}`}>
          <ViewBoundary key={chosen.value}>
            <Suspense fallback={<p class="quiet">Loading this view…</p>}>
              <View />
            </Suspense>
          </ViewBoundary>
        </div>
      </main>
      <footer class="quiet">
        Everything is computed here; nothing is sent. Emoji: Noto (Google, Apache License 2.0) and Twemoji (Twitter, CC
        BY 4.0). Method: Karras et al. 2024, “Analyzing and Improving the Training Dynamics of Diffusion Models”.
      </footer>
    </>
  );
}
