//! Where what was linked comes from: the store, the toolchain, or the build itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use store::facts::{LinkInput, LinkKind};
use store::{LocalStore, STORE_DIR, StorePath};

use super::record::Input;

/// Object files of the C library and the compiler that start and end programs.
const START_FILES: &[&str] = &[
    "crt1.o",
    "Scrt1.o",
    "gcrt1.o",
    "grcrt1.o",
    "rcrt1.o",
    "Mcrt1.o",
    "crti.o",
    "crtn.o",
    "crtbegin.o",
    "crtbeginS.o",
    "crtbeginT.o",
    "crtend.o",
    "crtendS.o",
    "crtfastmath.o",
];
/// Archives of helpers that the compiler adds to nearly every program.
const HELPERS: &[&str] = &[
    "libgcc.a",
    "libgcc_eh.a",
    "libc_nonshared.a",
    "libssp_nonshared.a",
];

/// Where Debian's cross compiler has its own files and the C library.
const CROSS: [&str; 2] = [
    "/usr/aarch64-linux-gnu/",
    "/usr/lib/gcc-cross/aarch64-linux-gnu/",
];

/// Turns what a link was made of into facts; sorted. What the build has made itself is left out, `own` being the scratch paths of its outputs.
pub(super) fn classify(
    inputs: impl IntoIterator<Item = Input>,
    store: &LocalStore,
    own: &[StorePath],
) -> Vec<LinkInput> {
    let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for input in inputs {
        members.entry(input.file).or_default().extend(input.member);
    }
    let mut found: Vec<LinkInput> = members
        .into_iter()
        .filter_map(|(file, members)| {
            let place = place(&file, store, own)?;
            let name = file.rsplit('/').next().unwrap_or(&file);
            let is_runtime = START_FILES.contains(&name) || HELPERS.contains(&name);
            Some(LinkInput {
                kind: if is_runtime {
                    LinkKind::Runtime
                } else {
                    LinkKind::Static
                },
                object: place.object,
                component: place.component,
                file: place.file,
                members,
            })
        })
        .collect();
    for input in &mut found {
        input.members.sort();
        input.members.dedup();
    }
    // Two names may lead to one file.
    found.sort();
    found.dedup();
    found
}

/// Where a file is.
struct Place {
    object: Option<String>,
    component: Option<String>,
    file: String,
}

fn place(file: &str, store: &LocalStore, own: &[StorePath]) -> Option<Place> {
    let below = file
        .strip_prefix(STORE_DIR)
        .and_then(|rest| rest.strip_prefix('/'));
    if let Some(below) = below {
        let (object, rest) = below.split_once('/').unwrap_or((below, ""));
        let object: StorePath = object.parse().ok()?;
        if own.contains(&object) {
            return None;
        }
        let (object, file) = resolve(store, &object, rest);
        return Some(Place {
            object: Some(object.to_string()),
            component: None,
            file,
        });
    }
    let is_toolchain = ["/usr/", "/lib/", "/lib64/"]
        .iter()
        .any(|top| file.starts_with(top));
    is_toolchain.then(|| Place {
        object: None,
        component: toolchain_package(file),
        file: file.to_owned(),
    })
}

/// The package of the seed that has a file of the toolchain: Debian's compiler keeps its own files in one directory, and the C library has the others.
fn toolchain_package(file: &str) -> Option<String> {
    let name = file.rsplit('/').next()?;
    let cross = if CROSS.iter().any(|directory| file.starts_with(directory)) {
        "-arm64-cross"
    } else {
        ""
    };
    let of_compiler = file
        .split_once("/gcc/")
        .or_else(|| file.split_once("/gcc-cross/"));
    if let Some((_, rest)) = of_compiler {
        let version = rest.split('/').nth(1)?;
        let package = if name.starts_with("libstdc++") || name.starts_with("libsupc++") {
            "libstdc++"
        } else {
            "libgcc"
        };
        return Some(format!("{package}-{version}-dev{cross}"));
    }
    const LIBC: &[&str] = &[
        "libc.a",
        "libc_nonshared.a",
        "libm.a",
        "libmvec.a",
        "libpthread.a",
        "libdl.a",
        "librt.a",
        "libutil.a",
        "libresolv.a",
    ];
    let is_libc = START_FILES.contains(&name) || LIBC.contains(&name) || name.starts_with("libm-");
    is_libc.then(|| format!("libc6-dev{cross}"))
}

/// Follows the links within the store that lead from a file of an object to where it lies. What leads nowhere stays as it is written.
pub(super) fn resolve(store: &LocalStore, object: &StorePath, below: &str) -> (StorePath, String) {
    let written = || (object.clone(), below.to_owned());
    let mut path = store.real_path(object).join(below);
    for _ in 0..40 {
        let Some((next, is_final)) = step(store, &path) else {
            return written();
        };
        path = next;
        if is_final {
            break;
        }
    }
    let Some(directory) = store.real_path(object).parent().map(Path::to_owned) else {
        return written();
    };
    let Ok(inside) = path.strip_prefix(&directory) else {
        return written();
    };
    let mut parts = inside.components();
    let name = parts.next().and_then(|part| part.as_os_str().to_str());
    let Some(object) = name.and_then(|name| name.parse().ok()) else {
        return written();
    };
    (object, parts.as_path().to_string_lossy().into_owned())
}

/// Follows the first link on a path of the store. Tells whether there was none; `None` where nothing is there, or the link leads out of the store.
fn step(store: &LocalStore, path: &Path) -> Option<(PathBuf, bool)> {
    let mut seen = PathBuf::new();
    let mut parts = path.components();
    while let Some(part) = parts.next() {
        match part {
            std::path::Component::ParentDir => {
                seen.pop();
                continue;
            }
            part => seen.push(part),
        }
        if !seen.starts_with(store.root()) {
            continue;
        }
        if !seen.symlink_metadata().ok()?.is_symlink() {
            continue;
        }
        let target = seen.read_link().ok()?;
        let target = match target.strip_prefix(STORE_DIR) {
            Ok(below) => store.root().join("store").join(below),
            Err(_) if target.is_absolute() => return None,
            Err(_) => seen.parent()?.join(target),
        };
        return Some((target.join(parts.as_path()), false));
    }
    Some((seen, true))
}
