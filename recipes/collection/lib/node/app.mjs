// Puts an app's own files into $out/lib/$name, linked to the packages in $modules, and a launcher into $out/bin for each
// of $programs (JSON: name to path). $command, if set, is run before, with the packages in $build_modules.

import fs from "node:fs";
import path from "node:path";
import { die, fixTree, run } from "./files.mjs";

const { env } = process;
const app = path.join(env.out, "lib", env.name);
const tree = env.command ? "/build/app" : app;

console.log("@pith phase unpack");
fs.mkdirSync(path.dirname(tree), { recursive: true });
fs.cpSync(env.src, tree, {
  recursive: true,
  verbatimSymlinks: true,
  filter: (from) => path.relative(env.src, from) !== "node_modules",
});
run("chmod", ["-R", "u+w", tree]);

if (env.command) {
  console.log("@pith phase build");
  const modules = path.join(tree, "node_modules");
  if (env.build_modules) fs.symlinkSync(path.join(env.build_modules, "node_modules"), modules);
  const PATH = [path.join(modules, ".bin"), path.join(env.node, "bin"), "/usr/bin"].join(":");
  run("/usr/bin/bash", ["-euo", "pipefail", "-c", env.command], { cwd: tree, env: { ...env, PATH } });
  fs.rmSync(modules, { force: true });
  fs.mkdirSync(path.dirname(app), { recursive: true });
  fs.cpSync(tree, app, { recursive: true, verbatimSymlinks: true });
}

console.log("@pith phase install");
if (env.modules) {
  fs.symlinkSync(path.join(env.modules, "node_modules"), path.join(app, "node_modules"));
}
fs.mkdirSync(path.join(env.out, "bin"));
for (const [program, target] of Object.entries(JSON.parse(env.programs))) {
  const file = path.join(app, target);
  if (!fs.existsSync(file)) die(`the app has no file ${target}, which the program ${program} should run`);
  // runMain makes the file the main module, of either kind, as if node had been given it.
  fs.writeFileSync(
    path.join(env.out, "bin", program),
    `#!${env.node}/bin/node
process.env.NODE_ENV ??= "production";
process.argv[1] = ${JSON.stringify(file)};
require("node:module").runMain();
`,
    { mode: 0o755 },
  );
}

console.log("@pith phase fixup");
fixTree(env.out);
