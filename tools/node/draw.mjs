// Draws docs/pictures/*.dot as SVG, byte for byte the same everywhere. With --check it only says which picture is out of date.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { Graphviz } from "@hpcc-js/wasm-graphviz";

const folder = new URL("../../docs/pictures/", import.meta.url);
const graphviz = await Graphviz.load();
let stale = 0;
for (const name of readdirSync(folder).filter((file) => file.endsWith(".dot")).sort()) {
  const drawn = graphviz.dot(readFileSync(new URL(name, folder), "utf-8"));
  const picture = new URL(name.replace(/\.dot$/, ".svg"), folder);
  if (!process.argv.includes("--check")) {
    writeFileSync(picture, drawn);
    continue;
  }
  let present = "";
  try {
    present = readFileSync(picture, "utf-8");
  } catch {
    // A picture that is missing is out of date.
  }
  if (present === drawn) continue;
  console.error(`docs/pictures/${name} was changed: run make pictures`);
  stale = 1;
}
process.exitCode = stale;
