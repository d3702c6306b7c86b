//! The disk gets full, or the quota used up, at each operation of an add. Faults are those of the whole process, so this is one test.

use std::error::Error;

use nix::errno::Errno;
use store::{
    AddError, DbError, MemoryNode,
    faults::{self, Fault},
    testing::{TempStore, find_faults, memory_tree},
};

#[test]
fn whatever_finds_no_room_the_error_is_one() -> Result<(), Box<dyn Error>> {
    let tree = memory_tree(&[
        ("d/large", MemoryNode::file(vec![1; 300_000])),
        ("small", MemoryNode::file("small")),
        ("link", MemoryNode::symlink("small")?),
    ]);
    for errno in [Errno::ENOSPC, Errno::EDQUOT] {
        for nth in 1.. {
            let store = TempStore::new();
            faults::arm(nth, Fault::Fail(errno));
            let result = store.add_tree("tree", tree.clone(), &[]);
            let seen = faults::disarm();
            let at = usize::try_from(nth - 1)
                .ok()
                .and_then(|at| seen.operations.get(at));
            let at = at.copied().unwrap_or_default();
            if !seen.fired {
                assert!(nth > 40, "{nth} operations");
                result?;
                break;
            }
            match result {
                // What an add can do without.
                Ok(_) => {}
                Err(AddError::NoSpace { name, needed, .. }) if errno == Errno::ENOSPC => {
                    assert_eq!(name.as_str(), "tree");
                    assert!(needed > 300_000);
                }
                Err(AddError::Quota { .. }) if errno == Errno::EDQUOT => {}
                // SQLite does not tell a quota from any other refusal.
                Err(AddError::Db(DbError::Query { .. }) | AddError::Group { .. })
                    if errno == Errno::EDQUOT && at.starts_with("db.") => {}
                Err(error) => return Err(format!("{errno} at {nth}, {at}: {error}").into()),
            }
            let store = store.reopen()?;
            // Leases of the dead are removed by who reads leases.
            store.leased()?;
            assert_eq!(
                find_faults(&store),
                Vec::<String>::new(),
                "{errno} at {nth}"
            );
        }
    }
    Ok(())
}
