//! What must hold of a store after a power cut.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use store::profile::{Profile, ProfileName};
use store::testing::find_faults;
use store::{LocalStore, StoreEvent};

use crate::ledger::{Fact, Ledger};
use crate::workload::options;

/// Opens a store as the first process after the machine was started again, and returns all that is not as it should be.
///
/// Every valid object has its bytes, its record and its references, nothing else lies about, and what was promised is there. No object that was
/// registered may be found damaged: this disk does not lie, so the order of writes must have prevented that.
pub(crate) fn inspect(root: &Path, promised: &Ledger) -> Result<Vec<String>, Box<dyn Error>> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let mut options = options();
    options.on_event = Some(Arc::new(move |event| {
        if let StoreEvent::Damaged { path } = event {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(format!("registered before it was whole: {path}"));
        }
    }));
    let store = LocalStore::open(root, options)?;
    // A lease that nobody holds any more is removed by who reads leases.
    store.leased()?;
    let mut faults = find_faults(&store);
    faults.append(&mut events.lock().unwrap_or_else(PoisonError::into_inner));
    let roots = store.list_roots()?;
    for fact in promised.facts() {
        let holds = match &fact {
            Fact::Object(path) => store.path_info(path)?.is_some(),
            Fact::Root(name, path) => roots
                .iter()
                .any(|root| root.name == *name && root.path == *path),
            Fact::Current(path) => {
                let current = Profile::named(&store, &ProfileName::default()).current()?;
                current.is_some_and(|current| current.path == *path)
            }
        };
        if !holds {
            faults.push(format!("promised but lost: {fact}"));
        }
    }
    Ok(faults)
}
