//! Puts tables into the program: the files of `collection/`, sorted by path, that `src/lang/collection.rs` includes, and what is known of license texts,
//! for `src/facts/license/table.rs`.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[path = "build_licenses.rs"]
mod licenses;
#[expect(dead_code, reason = "the program uses all of it")]
#[path = "src/facts/words.rs"]
mod words;

fn main() -> io::Result<()> {
    let directory = |variable: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .ok_or_else(|| io::Error::other(format!("cargo sets {variable}")))
    };
    let collection = directory("CARGO_MANIFEST_DIR")?.join("collection");
    println!("cargo::rerun-if-changed=collection");
    let mut files = Vec::new();
    if collection.is_dir() {
        find_files(&collection, "", &mut files)?;
    }
    files.sort();
    let mut table = String::from(
        "/// The files of `collection/`, sorted by path.\nstatic EMBEDDED: &[EmbeddedFile] = &[\n",
    );
    for path in files {
        let real = collection.join(&path);
        let executable = fs::metadata(&real)?.permissions().mode() & 0o100 != 0;
        let line = writeln!(
            table,
            "    EmbeddedFile {{ path: {path:?}, executable: {executable}, bytes: include_bytes!({real:?}) }},"
        );
        line.map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    let out = directory("OUT_DIR")?;
    fs::write(out.join("collection.rs"), table)?;
    for source in ["build_licenses.rs", "src/facts/words.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    fs::write(out.join("licenses.rs"), licenses::table())
}

/// Finds the files in the folders of the collection; what lies in the collection itself is for people.
fn find_files(directory: &Path, below: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| io::Error::other(format!("{name:?} is not UTF-8")))?;
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type()?.is_dir() {
            find_files(&entry.path(), &path, files)?;
        } else if !below.is_empty() {
            files.push(path);
        }
    }
    Ok(())
}
