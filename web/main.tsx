import "./style/base.css";
import "./style/parts.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { isolate } from "./isolation.ts";
import { openLab } from "./state/lab.ts";

const root = document.getElementById("lab");
if (root === null) throw new Error("index.html has no element #lab");
render(<App />, root);
void isolate().then(openLab);
