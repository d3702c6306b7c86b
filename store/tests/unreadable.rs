//! What cannot be read is never called wrong. Alone in its program: faults are counted for the whole process.

use std::error::Error;

use nix::errno::Errno;
use store::{
    MemoryNode, PathInfo, Problem, VerifyDepth, VerifyOptions, Watch,
    faults::{self, Fault},
    testing::{TempStore, memory_tree},
};

#[test]
fn an_object_that_cannot_be_read_is_never_called_different() -> Result<(), Box<dyn Error>> {
    let options = |info: &PathInfo| VerifyOptions {
        paths: vec![info.path.clone()],
        depth: VerifyDepth::Contents,
    };
    for (operation, names) in [
        ("inspect", vec!["."]),
        ("open", vec!["."]),
        ("list", vec![".", "d"]),
        ("read", vec!["d/file", "d/other"]),
    ] {
        for (errno, is_damage) in [(Errno::EIO, true), (Errno::EMFILE, false)] {
            let store = TempStore::new();
            let tree = memory_tree(&[
                ("d/file", MemoryNode::file(vec![1; 100_000])),
                ("d/other", MemoryNode::file("other")),
                ("link", MemoryNode::symlink("d")?),
            ]);
            let info = store.add_tree("object", tree, &[])?;
            faults::arm(1, Fault::FailEvery(operation, errno));
            let report = store.verify(&options(&info), &Watch::nobody());
            faults::disarm();
            let case = format!("{operation}, {errno}");
            let report = report.map_err(|error| format!("{case}: {error}"))?;
            let named = report
                .findings
                .iter()
                .map(|finding| match &finding.problem {
                    Problem::Unreadable { file, error, .. } => {
                        assert!(error.contains("os error"), "{case}: {error}");
                        file.clone()
                    }
                    other => panic!("{case}: {other:?}"),
                });
            let mut named: Vec<String> = named.collect();
            named.retain(|file| !file.starts_with("var/meta/"));
            for file in &names {
                assert!(named.iter().any(|named| named == file), "{case}: {named:?}");
            }
            assert_eq!(store.path_info(&info.path)?.is_none(), is_damage, "{case}");
        }
    }
    Ok(())
}
