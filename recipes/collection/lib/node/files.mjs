// What lib/node's builders do with files that may not go into the store as they are.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const { env } = process;

export function die(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

export function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { stdio: "inherit", ...options });
  if (error) die(`${program}: ${error.message}`);
  if (status !== 0) die(`${program} ended with status ${status}`);
}

function output(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}

function head(file, length) {
  const handle = fs.openSync(file, "r");
  const bytes = Buffer.alloc(length);
  const read = fs.readSync(handle, bytes, 0, length, 0);
  fs.closeSync(handle);
  return bytes.subarray(0, read);
}

// A script for node gets the store's; any other stays a text that nobody runs: an image has no shell.
function fixScript(file) {
  const text = fs.readFileSync(file);
  const end = text.indexOf("\n");
  const line = text.subarray(0, end < 0 ? text.length : end).toString();
  if (/^#!\s*(\S*\/env\s+(-S\s+)?)?(\S*\/)?node(js)?(\s|$)/.test(line)) {
    const rest = text.subarray(line.length);
    fs.writeFileSync(file, Buffer.concat([Buffer.from(`#!${env.node}/bin/node`), rest]));
  } else if (!line.includes("/pith/store/")) {
    fs.chmodSync(file, 0o644);
  }
}

// Whether a library is the C library of musl, of Android or of a BSD.
function isOtherLibc(name) {
  return /musl/.test(name) || (/^libc\.so/.test(name) && name !== "libc.so.6");
}

// Whether an addon is compiled for macOS (with one machine or several) or Windows.
function isOtherSystem(file, header) {
  const isAddon = /\.(node|bare)$/.test(file);
  return isAddon && ["cffaedfe", "cafebabe", "4d5a9000"].includes(header.subarray(0, 4).toString("hex"));
}

// A compiled addon finds libc and the compiler's libraries in the store. One for another machine or another libc,
// which some packages carry for every platform, could not be loaded and goes.
function fixElf(file, header) {
  const machine = header.readUInt16LE(18);
  const needed = output("patchelf", ["--print-needed", file]).split("\n");
  if (machine !== 62 || header[4] !== 2 || needed.some(isOtherLibc)) {
    fs.rmSync(file);
    return;
  }
  const dynamic = needed.some((name) => name !== "");
  if (dynamic) run("patchelf", ["--add-rpath", `${env.glibc}/lib:${env.gcc_libs}/lib`, file]);
  if (output("patchelf", ["--print-interpreter", file])) {
    run("patchelf", ["--set-interpreter", `${env.glibc}/lib/ld-linux-x86-64.so.2`, file]);
  }
}

// Makes everything below `directory` fit for the store.
export function fixTree(directory) {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) {
      fs.chmodSync(file, 0o755);
      fixTree(file);
    } else if (entry.isFile()) {
      const executable = fs.statSync(file).mode & 0o111;
      fs.chmodSync(file, executable ? 0o755 : 0o644);
      const header = head(file, 64);
      if (header.length === 64 && header.readUInt32BE(0) === 0x7f454c46) fixElf(file, header);
      else if (isOtherSystem(file, header)) fs.rmSync(file);
      else if (executable && header.subarray(0, 2).toString() === "#!") fixScript(file);
    }
  }
}
