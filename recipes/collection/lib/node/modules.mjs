// Lays the packages of a lock file out below $out/node_modules, as npm would, without running any of their scripts.
// $packages_0, $packages_1, … are lists in JSON of what lib/node.star says of each package.

import fs from "node:fs";
import path from "node:path";
import { die, fixTree, run } from "./files.mjs";

const { env } = process;
const packages = [];
for (let part = 0; env[`packages_${part}`]; part++) {
  packages.push(...JSON.parse(env[`packages_${part}`]));
}

console.log("@pith phase unpack");
for (const each of packages) {
  const directory = path.join(env.out, each.path);
  fs.mkdirSync(directory, { recursive: true });
  run("tar", [
    "-xzf", each.archive, "-C", directory, "--strip-components=1",
    "--no-same-owner", "--no-same-permissions", "--mode=u+rwX,go+rX", "--delay-directory-restore",
    "--warning=no-unknown-keyword", // of other programs that make archives
  ]);
}

console.log("@pith phase install");
const components = [];
for (const each of packages) {
  const directory = path.join(env.out, each.path);
  const manifest = path.join(directory, "package.json");
  if (!fs.existsSync(manifest)) die(`${each.name} ${each.version} has no package.json`);
  const { license } = JSON.parse(fs.readFileSync(manifest, "utf8").replace(/^\uFEFF/, ""));
  const stated = typeof license === "string" ? license : license?.type;
  const name = each.name.replace(/^@/, "%40");
  components.push({
    name: each.name,
    version: each.version,
    ...(each.license ?? stated ? { license: each.license ?? stated } : {}),
    purl: `pkg:npm/${name}@${each.version.replaceAll("+", "%2B")}`,
  });
  for (const [program, target] of Object.entries(each.bin)) {
    const file = path.join(directory, target);
    if (!fs.existsSync(file)) continue; // made by a script that is not run
    fs.chmodSync(file, 0o755);
    const modules = path.join(env.out, each.path.slice(0, each.path.lastIndexOf("node_modules/")), "node_modules");
    const bin = path.join(modules, ".bin");
    fs.mkdirSync(bin, { recursive: true });
    const link = path.join(bin, program);
    if (!fs.existsSync(link)) fs.symlinkSync(path.relative(bin, file), link);
  }
}
// A package may be there twice, at two places.
const lines = new Set(components.map((component) => JSON.stringify(component)));
fs.writeFileSync("/build/.pith-components", [...lines].sort().map((line) => `${line}\n`).join(""));

console.log("@pith phase fixup");
fixTree(env.out);
