//! From a launcher to the program that it stands for. Reads links only: no database, no lock.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use nix::{errno::Errno, fcntl::AT_FDCWD};

use super::{
    ProfileError,
    directory::{CURRENT, parse_number},
    generation::PROGRAMS,
};
use crate::{
    id::StorePath,
    sys::files::{at, read_link_at, type_at},
};

/// Symlinks that may lead to a launcher one after another; the kernel's own bound.
const MAX_LINKS: usize = 40;

/// A program of a profile's current generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Where the objects lie that the program expects at [`STORE_DIR`](crate::STORE_DIR).
    pub store_directory: PathBuf,
    /// Where the program lies once they do.
    pub program: PathBuf,
    /// What it is called.
    pub name: OsString,
}

/// Finds the program that the launcher at this path stands for: a file in the `bin` of a profile, or a symlink to one.
pub fn find_launch(launcher: &Path) -> Result<Launch, ProfileError> {
    let no_launcher = || ProfileError::NotALauncher {
        path: launcher.to_owned(),
    };
    let mut place = std::path::absolute(launcher).map_err(at("find", launcher))?;
    for _ in 0..MAX_LINKS {
        let (Some(bin), Some(name)) = (place.parent(), place.file_name()) else {
            break;
        };
        if let Some(profile) = bin.parent()
            && let Some(generation) = read(&profile.join(CURRENT))?
            && parse_number(&generation).is_some()
        {
            return in_profile(profile, &generation, name);
        }
        place = match read(&place)? {
            Some(target) => bin.join(target),
            None => break,
        };
    }
    Err(no_launcher())
}

fn in_profile(profile: &Path, generation: &OsStr, name: &OsStr) -> Result<Launch, ProfileError> {
    let link = profile.join(generation);
    let target = read(&link)?.unwrap_or_default();
    let object = profile.join(&target);
    let path = object.file_name().and_then(OsStr::to_str);
    let path: Option<StorePath> = path.and_then(|path| path.parse().ok());
    let (Some(path), Some(store_directory)) = (path, object.parent()) else {
        return Err(ProfileError::Link {
            link,
            target: target.into(),
        });
    };
    let program = object.join(PROGRAMS).join(name);
    match type_at(AT_FDCWD, program.as_os_str()) {
        Ok(_) => {}
        Err(Errno::ENOENT) => {
            return Err(ProfileError::NoProgram {
                profile: profile.to_owned(),
                program: name.to_string_lossy().into_owned(),
            });
        }
        Err(errno) => return Err(at("inspect", program)(errno).into()),
    }
    Ok(Launch {
        store_directory: store_directory.to_owned(),
        program: Path::new(&path.to_logical()).join(PROGRAMS).join(name),
        name: name.to_owned(),
    })
}

/// Returns what a symlink says; `None` where there is none.
fn read(link: &Path) -> Result<Option<OsString>, ProfileError> {
    match read_link_at(AT_FDCWD, link.as_os_str()) {
        Ok(target) => Ok(Some(target)),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EINVAL) => Ok(None),
        Err(errno) => Err(at("read", link)(errno).into()),
    }
}
