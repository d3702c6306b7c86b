//! Which objects of a closure have certificates and time zones.
//!
//! An object never changes, so what the objects of a closure have is a property of their paths: for a large closure, where it takes hundreds of looks at the disk,
//! it is remembered beside the layers. Whoever deletes that loses nothing but time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    layer::{Memo, StoredObject},
    rootfs::{Provided, provides},
};

/// Closures of fewer objects are looked at each time: that is as quick.
const MANY: usize = 64;
/// What the name of a record ends with.
const PROVIDERS: &str = "providers";

/// The objects that have something, by their paths.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Providers {
    certificates: BTreeSet<String>,
    time_zones: BTreeSet<String>,
}

impl Providers {
    /// Finds them among the objects of a closure, which are in ascending order.
    pub(super) fn find(objects: &[&StoredObject], memo: &Memo) -> Self {
        if objects.len() < MANY {
            return Self::look(objects);
        }
        let mut hasher = blake3::Hasher::new_derive_key("pith 2026 providers of a closure v1");
        for object in objects {
            hasher.update(object.path.to_string().as_bytes());
            hasher.update(b"\n");
        }
        let name = format!("{}.{PROVIDERS}", hasher.finalize().to_hex());
        if let Some(known) = memo.read(&name) {
            return known;
        }
        let found = Self::look(objects);
        // What an absent object would have is not known.
        if objects
            .iter()
            .all(|object| object.real.symlink_metadata().is_ok())
        {
            memo.write(&name, &found);
        }
        found
    }

    fn look(objects: &[&StoredObject]) -> Self {
        let having = |thing| {
            let objects = objects.iter();
            let having = objects.filter(|object| provides(&object.real, thing));
            having.map(|object| object.path.to_string()).collect()
        };
        Self {
            certificates: having(Provided::Certificates),
            time_zones: having(Provided::TimeZones),
        }
    }

    /// Whether an object has the thing.
    pub(super) fn has(&self, object: &StoredObject, thing: Provided) -> bool {
        let having = match thing {
            Provided::Certificates => &self.certificates,
            Provided::TimeZones => &self.time_zones,
        };
        !having.is_empty() && having.contains(&object.path.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use store::{PathDigest, StorePath};

    use super::*;
    use crate::layer::ObjectPlace;

    fn objects(root: &Path, count: u8) -> Vec<StoredObject> {
        let object = |seed| {
            let name = format!("p{seed}").parse().unwrap();
            let path = StorePath::new(PathDigest::from_bytes([seed; 25]), name);
            StoredObject {
                real: root.join(path.to_string()),
                path,
                size_bytes: 1,
                nodes: 1,
                place: ObjectPlace::Store,
                slot: None,
            }
        };
        (0..count).map(object).collect()
    }

    #[test]
    fn what_objects_have_is_remembered_for_these_objects_and_only_if_all_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let memo = Memo::new(&directory.path().join("layers"));
        let all = objects(directory.path(), 65);
        let all: Vec<&StoredObject> = all.iter().collect();
        let zones = |number: usize| all[number].real.join("share/zoneinfo");
        for object in &all[1..] {
            fs::create_dir_all(&object.real).unwrap();
        }
        // One is absent, and comes later.
        assert_eq!(Providers::find(&all, &memo), Providers::default());
        fs::create_dir_all(zones(0)).unwrap();
        fs::create_dir_all(zones(9)).unwrap();
        let found = Providers::find(&all, &memo);
        let having = |found: &Providers| {
            let all = all.iter().enumerate();
            let having = all.filter(|(_, object)| found.has(object, Provided::TimeZones));
            having.map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert_eq!(having(&found), [0, 9]);
        assert!(!found.has(all[9], Provided::Certificates));
        // Objects do not change; what they are said to have is what they had.
        fs::remove_dir(zones(9)).unwrap();
        assert_eq!(Providers::find(&all, &memo), found);
        assert_eq!(having(&Providers::find(&all[..64], &memo)), [0]);
    }
}
