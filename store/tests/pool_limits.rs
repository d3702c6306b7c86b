//! What the file system refuses to link. Faults are those of the whole process, so this is one test.

use std::{error::Error, fs, os::unix::fs::MetadataExt};

use nix::errno::Errno;
use store::{
    MemoryNode, PathInfo,
    faults::{self, Fault},
    testing::{TempStore, find_faults},
};

type TestResult = Result<(), Box<dyn Error>>;

fn inode(store: &TempStore, info: &PathInfo) -> std::io::Result<u64> {
    Ok(fs::metadata(store.real_path(&info.path))?.ino())
}

/// Adds a file of always the same bytes, with one link refused.
fn add(
    store: &TempStore,
    name: &str,
    size: usize,
    refused: Option<(u64, Errno)>,
) -> Result<(PathInfo, Vec<&'static str>), Box<dyn Error>> {
    match refused {
        Some((nth, errno)) => faults::arm(nth, Fault::Fail(errno)),
        None => faults::count(),
    }
    let info = store.add_tree(name, MemoryNode::file(vec![5; size]), &[]);
    Ok((info?, faults::disarm().operations))
}

#[test]
fn a_file_that_cannot_be_linked_is_written_and_a_full_inode_is_replaced() -> TestResult {
    // Written whole, and written in blocks.
    for size in [9_000, 500_000] {
        for errno in [
            Errno::EMLINK,
            Errno::EXDEV,
            Errno::ENOSPC,
            Errno::EDQUOT,
            Errno::EPERM,
        ] {
            let case = format!("{size} bytes, {errno}");
            let store = TempStore::new();
            let (one, _) = add(&store, "one", size, None)?;
            let (two, operations) = add(&store, "two", size, None)?;
            assert_eq!(inode(&store, &one)?, inode(&store, &two)?, "{case}");
            let link = operations.iter().position(|name| *name == "link");
            let nth = u64::try_from(link.ok_or("no link was made")?)? + 1;
            // The names are of one length, so the operations are the same.
            let (six, _) = add(&store, "six", size, Some((nth, errno)))?;
            assert_ne!(inode(&store, &one)?, inode(&store, &six)?, "{case}");
            let (ten, _) = add(&store, "ten", size, None)?;
            let expected = if errno == Errno::EMLINK { &six } else { &one };
            assert_eq!(inode(&store, expected)?, inode(&store, &ten)?, "{case}");
            assert_eq!(find_faults(&store), Vec::<String>::new(), "{case}");
        }
    }
    Ok(())
}
