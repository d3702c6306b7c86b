//! Files of a project, copied as they are at one moment.
//!
//! A copy is made because somebody may edit the files while they are read into the store; what was copied is what is built.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::Glob;

/// Why files of a project cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file cannot be read, or its copy not be written.
    #[error("cannot read the source `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A device, fifo or socket.
    #[error("the source `{}` is neither file, directory nor symbolic link", .path.display())]
    Special {
        /// The thing.
        path: PathBuf,
    },
}

/// Copies the file or directory `from` to `to`, which must not be there, without what `exclude` covers.
///
/// A pattern of one part, such as `*.o`, is meant for any depth; any other is meant from `from` on. Links are copied as
/// links; owners and times are not copied, and of modes only whether the owner may execute.
pub fn copy_local(from: &Path, exclude: &[Glob], to: &Path) -> Result<(), LocalError> {
    copy(from, "", exclude, to)
}

fn copy(from: &Path, below: &str, exclude: &[Glob], to: &Path) -> Result<(), LocalError> {
    let failed = |source| LocalError::Io {
        path: from.to_owned(),
        source,
    };
    // The top itself may be a link to the project's directory.
    let metadata = if below.is_empty() {
        fs::metadata(from)
    } else {
        fs::symlink_metadata(from)
    }
    .map_err(failed)?;
    if metadata.is_symlink() {
        return fs::read_link(from)
            .and_then(|target| symlink(target, to))
            .map_err(failed);
    }
    if metadata.is_file() {
        fs::copy(from, to).map_err(failed)?;
        let mode = if metadata.permissions().mode() & 0o100 != 0 {
            0o755
        } else {
            0o644
        };
        return fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(failed);
    }
    if !metadata.is_dir() {
        return Err(LocalError::Special {
            path: from.to_owned(),
        });
    }
    fs::create_dir(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let shown = name.to_string_lossy();
        let path = if below.is_empty() {
            shown.clone().into_owned()
        } else {
            format!("{below}/{shown}")
        };
        let excluded = exclude
            .iter()
            .any(|glob| glob.covers(&path) || (glob.is_single_part() && glob.covers(&shown)));
        if !excluded {
            copy(&from.join(&name), &path, exclude, &to.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_stays_behind_at_any_depth() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("from");
        for path in [
            "target/x",
            "src/target/x",
            "src/a.o",
            "src/a.c",
            "doc/a/b",
            "doc/c",
        ] {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        symlink("src", from.join("link")).unwrap();
        let exclude: Vec<Glob> = ["target", "*.o", "doc/a"]
            .iter()
            .map(|glob| glob.parse().unwrap())
            .collect();
        let to = directory.path().join("to");
        copy_local(&from, &exclude, &to).unwrap();
        let exists = |path: &str| to.join(path).symlink_metadata().is_ok();
        assert_eq!(["src/a.c", "doc/c", "link"].map(exists), [true; 3]);
        assert_eq!(
            ["target", "src/target", "src/a.o", "doc/a"].map(exists),
            [false; 4]
        );
    }

    #[test]
    fn a_fifo_among_the_sources_is_named_and_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("from");
        fs::create_dir(&from).unwrap();
        nix::unistd::mkfifo(&from.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = copy_local(&from, &[], &directory.path().join("to")).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("/fifo` is neither file, directory nor symbolic link"),
            "{error}"
        );
    }
}
