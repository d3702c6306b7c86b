//! What all targets do with a database: it is a file in memory, read and judged as `pith vulns` does.

use std::{fs, path::Path, sync::LazyLock};

use chrono::NaiveDate;
use pack::vulns::{Database, DebianSource, Options, Outcome, Subject, Wanted, check};
use tempfile::TempDir;

static PLACE: LazyLock<TempDir> = LazyLock::new(|| {
    tempfile::tempdir_in("/dev/shm").expect("a file system in memory is writable")
});

/// Software that the databases of tests speak of, under every kind of name.
fn subjects() -> Vec<Subject> {
    let of_register = |purl: &str| Subject {
        name: "time".to_owned(),
        purl: purl.parse().ok(),
        ..Subject::default()
    };
    let jq = Subject {
        name: "jq".to_owned(),
        version: Some("1.6".to_owned()),
        cpe: Some("jqlang:jq".to_owned()),
        urls: vec!["https://github.com/jqlang/jq/archive/0123456789012345678901234567890123456789.tar.gz".to_owned()],
        debian: Some(DebianSource {
            name: "jq".to_owned(),
            version: "1.6-2.1".to_owned(),
            release: "bookworm".to_owned(),
        }),
        ..Subject::default()
    };
    let purls = ["pkg:cargo/time@0.2.22", "pkg:npm/time@1.0.0", "pkg:pypi/time@1.0", "pkg:golang/time@v1.0.0"];
    purls.map(of_register).into_iter().map(Subject::completed).chain([jq]).collect()
}

/// Reads `bytes` as the file `name` of a database that is the directory `database` or that file itself, and asserts that nothing is clean by mistake.
pub fn judge(bytes: &[u8], database: &str, name: &str) {
    let path = PLACE.path().join(name);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("the place is ours");
    fs::write(&path, bytes).expect("memory has room");
    let subjects = subjects();
    let wanted = Wanted::of(&subjects);
    let paths = [PLACE.path().join(database)];
    let Ok(database) = Database::load(&paths, &wanted) else { return };
    let options = Options {
        date: NaiveDate::MIN,
        max_age_days: None,
        remembered: Vec::new(),
        fail_on: None,
        not_covered: Default::default(),
        undescribed: Default::default(),
        waivers: Vec::new(),
    };
    let report = check(&subjects, &database, &options);
    for snapshot in &database.snapshots {
        let is_read = snapshot.records > 0 && snapshot.unreadable.is_none();
        assert!(is_read || report.outcome != Outcome::Clean, "what cannot be read is clean");
    }
    let again = Database::load(&paths, &wanted).expect("it was read before");
    assert_eq!(again.advisories, database.advisories);
}
