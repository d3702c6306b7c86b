//! Whether programs are for the machine that an image says it runs on.

use std::{fs::File, io::Read, path::Path};

use store::elf;

use super::{ImageError, sets::RootSets};
use crate::{
    layer::StoredObject,
    oci::{Architecture, Platform},
    rootfs::{find_programs, list_architectures},
    start::{machine_name, runs},
};

/// The beginning of an ELF file up to `e_machine` (System V ABI, "ELF Header").
const HEAD_BYTES: usize = 20;
/// `EI_DATA` and its value for the byte order of both processors.
const BYTE_ORDER: (usize, u8) = (5, 1);
const MACHINE: usize = 18;

/// Refuses programs of requested packages that a machine of `platform` cannot run.
///
/// Reads the first bytes of each program, and of a set what its members say. What is no ELF file runs anywhere.
pub(super) fn check<'o>(
    platform: &Platform,
    requested: impl Iterator<Item = &'o StoredObject>,
    sets: &RootSets,
) -> Result<(), ImageError> {
    let foreign = |path: String, found: &str| ImageError::Foreign {
        path,
        found: found.to_owned(),
        platform: platform.to_string(),
    };
    for object in requested {
        if sets.find(&object.path).is_some() {
            let own = architecture(platform);
            for (member, architecture) in list_architectures(&object.real)? {
                if architecture != own && architecture != "all" {
                    return Err(foreign(member, &architecture));
                }
            }
            continue;
        }
        for (directory, name) in find_programs(&object.real)? {
            let name = Path::new(directory).join(String::from_utf8_lossy(&name).as_ref());
            let Some(machine) = machine_of(&object.real.join(&name)) else {
                continue;
            };
            if !runs(platform, machine) {
                let path = format!("{}/{}", object.path.to_logical(), name.display());
                return Err(foreign(path, machine_name(machine)));
            }
        }
    }
    Ok(())
}

fn architecture(platform: &Platform) -> &'static str {
    match platform.architecture {
        Architecture::Amd64 => "amd64",
        Architecture::Arm64 => "arm64",
    }
}

/// The `e_machine` of an ELF file; `None` for any other file, and for one that cannot be read: who packs it will say so.
fn machine_of(file: &Path) -> Option<u16> {
    // On this disk a link out of the object may lead anywhere.
    let found = std::fs::symlink_metadata(file).ok()?;
    if !found.is_file() {
        return None;
    }
    let mut head = [0; HEAD_BYTES];
    File::open(file).ok()?.read_exact(&mut head).ok()?;
    let little = head[BYTE_ORDER.0] == BYTE_ORDER.1;
    (head.starts_with(&elf::MAGIC) && little)
        .then(|| u16::from_le_bytes([head[MACHINE], head[MACHINE + 1]]))
}
