//! Records: whatever is accepted keeps the rules, is written in one form that is read as the same, and merges with itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::cache::{format::ObjectRecord, trust::Statement};

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = ObjectRecord::decode(bytes) else {
        return;
    };
    let info = record.info();
    assert_eq!(info.id.path_digest(), *info.path.digest());
    assert!(info.references.iter().all(|one| one.id.path_digest() == *one.path.digest()));
    assert!(info.references.is_sorted_by(|a, b| a.path < b.path));
    assert!(!Statement::object(info).as_bytes().is_empty());
    let encoded = record.encode().expect("what fits fits again");
    assert_eq!(encoded.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert_eq!(ObjectRecord::decode(&encoded).expect("it was written here"), record);
    assert!(!record.clone().merge(&record).expect("it does not contradict itself"));
});
