//! Reading the records out of a build directory, all of whose processes are dead.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use rayon::prelude::*;
use store::elf;

use super::record::{Record, Records};

/// The directory of records in the build directory.
const DIRECTORY: &str = ".pith-links";
/// What the name of the hard link to a result ends with.
const RESULT: &str = ".result";
/// More links than any build makes.
const MAX_RECORDS: usize = 50_000;
/// The largest record; one of a program with ten thousand object files takes a megabyte.
const MAX_RECORD_BYTES: u64 = 32 << 20;
/// The largest result that is read.
const MAX_RESULT_BYTES: u64 = 8 << 30;
/// Nothing is followed, and opening a fifo does not wait.
const FLAGS: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);

/// Reads the records of the build directory `work`; none where no linker left any. What is no record is passed over: it proves nothing.
pub(crate) fn load(work: BorrowedFd<'_>) -> io::Result<Records> {
    let directory = match openat(work, DIRECTORY, FLAGS | OFlag::O_DIRECTORY, Mode::empty()) {
        Ok(directory) => directory,
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(Records::default()),
        Err(errno) => return Err(errno.into()),
    };
    let mut names = Vec::new();
    for entry in Dir::from_fd(directory.try_clone()?)?.iter() {
        let name = entry?.file_name().to_owned();
        if let Ok(name) = name.into_string()
            && !name.starts_with('.')
            && !name.ends_with(RESULT)
        {
            names.push(name);
        }
        if names.len() > MAX_RECORDS {
            return Err(io::Error::other(format!(
                "the builder left more than {MAX_RECORDS} records of links"
            )));
        }
    }
    names.sort_unstable();
    let directory = directory.as_fd();
    let records = names
        .par_iter()
        .map(|name| read(directory, name))
        .collect::<io::Result<Vec<Option<Record>>>>()?;
    Ok(Records::new(records.into_iter().flatten().collect()))
}

fn read(directory: BorrowedFd<'_>, name: &str) -> io::Result<Option<Record>> {
    let Some(record) = open(directory, name)? else {
        return Ok(None);
    };
    let mut text = Vec::new();
    record.take(MAX_RECORD_BYTES + 1).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    if text.len() as u64 > MAX_RECORD_BYTES {
        return Ok(None);
    }
    let code = match open(directory, &format!("{name}{RESULT}"))? {
        Some(result) if result.metadata()?.len() <= MAX_RESULT_BYTES => elf::code_digest(result),
        _ => None,
    };
    Ok(Record::parse(&text, code))
}

/// Opens a regular file; `None` for anything else.
fn open(directory: BorrowedFd<'_>, name: &str) -> io::Result<Option<File>> {
    let file = match openat(directory, name, FLAGS, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::EACCES) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn load_from(work: &Path) -> io::Result<Records> {
        load(File::open(work)?.as_fd())
    }

    #[test]
    fn a_program_is_found_by_the_record_of_its_link() -> io::Result<()> {
        let work = tempfile::tempdir()?;
        assert_eq!(load_from(work.path())?, Records::default());
        let links = work.path().join(DIRECTORY);
        fs::create_dir(&links)?;
        let program = std::env::current_exe()?;
        fs::write(links.join("7"), "/build\ntool\n(/x/lib.a)a.o\n")?;
        symlink(&program, links.join("7.result"))?;
        let code = elf::code_digest(File::open(&program)?);
        let code = code.ok_or_else(|| io::Error::other("a program has machine code"))?;
        assert_eq!(load_from(work.path())?.find(&code, "tool"), None);
        fs::remove_file(links.join("7.result"))?;
        fs::copy(&program, links.join("7.result"))?;
        let found = load_from(work.path())?.find(&code, "tool");
        assert_eq!(found.map(|inputs| inputs.len()), Some(1));
        Ok(())
    }

    #[test]
    fn links_fifos_and_files_in_the_place_of_the_directory_are_passed_over() -> io::Result<()> {
        let work = tempfile::tempdir()?;
        symlink("/etc", work.path().join(DIRECTORY))?;
        assert_eq!(load_from(work.path())?, Records::default());
        fs::remove_file(work.path().join(DIRECTORY))?;
        fs::write(work.path().join(DIRECTORY), "")?;
        assert_eq!(load_from(work.path())?, Records::default());
        fs::remove_file(work.path().join(DIRECTORY))?;
        let links = work.path().join(DIRECTORY);
        fs::create_dir(&links)?;
        nix::unistd::mkfifo(&links.join("1"), Mode::S_IRWXU)?;
        symlink("/etc/passwd", links.join("2"))?;
        fs::create_dir(links.join("3"))?;
        fs::write(links.join("4"), [0xff; 100])?;
        assert_eq!(load_from(work.path())?, Records::default());
        Ok(())
    }
}
