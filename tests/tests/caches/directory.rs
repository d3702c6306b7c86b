//! A directory, and nginx that serves it to readers.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Arc,
};

use bytes::Bytes;
use store::cache::backend::{BackendError, BackendOptions, Corruption, ErrorClass};

use crate::{
    TestResult,
    conformance::{Cache, conforms},
    noise, object, open, pack,
    samples::Content,
    servers::Nginx,
};

fn options() -> BackendOptions {
    BackendOptions::default()
}

#[test]
fn a_directory_conforms() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("cache");
    let path = path.to_str().ok_or("a path of text")?;
    conforms(&Cache::both(open(path, &options())?, true))?;
    // Nothing but the cache is left when the writer is gone.
    let staging: Vec<_> = fs::read_dir(format!("{path}/.staging"))?.collect();
    assert!(staging.is_empty(), "{staging:?}");
    Ok(())
}

#[test]
fn nginx_over_a_directory_conforms_for_readers() -> TestResult {
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755))?;
    let nginx = Nginx::start(directory.path())?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    let reader = open(&nginx.url, &options())?;
    let cache = Cache {
        writer: open(path, &options())?.into(),
        reader: Arc::from(reader),
        can_list: true,
        can_remove: true,
        content: Content::Any,
    };
    conforms(&cache)?;
    let written = cache.reader.write(&object(1), Bytes::from_static(b"x"));
    assert_eq!(
        written.map_err(|error| error.to_string()),
        Err(format!("the cache `{}` cannot be written to", nginx.url))
    );
    let removed = cache.reader.remove(&pack(32));
    assert!(
        matches!(removed, Err(BackendError::Unsupported { .. })),
        "{removed:?}"
    );
    Ok(())
}

#[test]
fn a_stopped_nginx_is_unreachable() -> TestResult {
    let directory = tempfile::tempdir()?;
    let mut nginx = Nginx::start(directory.path())?;
    let reader = open(&nginx.url, &options())?;
    assert!(!reader.exists(&object(1))?);
    nginx.process.kill();
    let error = reader.exists(&object(1)).map_err(|error| error.class());
    assert_eq!(error, Err(ErrorClass::Unreachable));
    Ok(())
}

#[test]
fn nothing_is_seen_before_it_is_flushed_nor_after_a_writer_that_gave_up() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    let (writer, reader) = (open(path, &options())?, open(path, &options())?);
    writer.write(&pack(1), Bytes::from(noise(1, 100)))?;
    assert!(!reader.exists(&pack(1))?);
    drop(writer);
    assert!(!reader.exists(&pack(1))?);
    assert_eq!(fs::read_dir(directory.path().join(".staging"))?.count(), 0);
    Ok(())
}

#[test]
fn a_file_that_grows_is_seen_whole_and_one_without_a_name_is_gone() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    let (writer, reader) = (open(path, &options())?, open(path, &options())?);
    let begin = || -> TestResult<_> {
        Ok(writer
            .begin()?
            .ok_or("a directory takes files without a name")?)
    };
    let (mut kept, mut dropped) = (begin()?, begin()?);
    let bytes = noise(1, 100_000);
    kept.append(&bytes[..40_000])?;
    dropped.append(&bytes)?;
    drop(dropped);
    kept.append(&bytes[40_000..])?;
    kept.finish(&pack(1))?;
    assert!(!reader.exists(&pack(1))?);
    // As many folders as are synced together.
    for number in 2..9 {
        writer.write(&pack(number), Bytes::from(noise(number, 100)))?;
    }
    writer.write_back();
    writer.flush()?;
    assert!(reader.read(&pack(1), 100_000)? == bytes);
    for number in 2..9 {
        assert_eq!(reader.read(&pack(number), 100)?, noise(number, 100));
    }
    drop(writer);
    assert_eq!(fs::read_dir(directory.path().join(".staging"))?.count(), 0);
    Ok(())
}

#[test]
fn two_writers_do_not_disturb_each_other() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    let (one, two) = (open(path, &options())?, open(path, &options())?);
    one.write(&pack(1), Bytes::from(noise(1, 100)))?;
    // The second one clears up after dead processes; the first one lives.
    two.write(&pack(2), Bytes::from(noise(2, 100)))?;
    two.flush()?;
    one.write(&pack(3), Bytes::from(noise(3, 100)))?;
    one.flush()?;
    for number in 1..=3 {
        assert_eq!(two.read(&pack(number), 100)?, noise(number, 100));
    }
    Ok(())
}

#[test]
fn what_a_dead_writer_left_is_removed() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    let staging = directory.path().join(".staging");
    fs::create_dir_all(staging.join("dead"))?;
    fs::write(staging.join("dead/lock"), "")?;
    fs::write(staging.join("dead/0"), "half")?;
    fs::create_dir_all(staging.join("empty"))?;
    let writer = open(path, &options())?;
    writer.write(&pack(1), Bytes::from(noise(1, 100)))?;
    writer.flush()?;
    assert_eq!(fs::read_dir(staging)?.count(), 1);
    Ok(())
}

#[test]
fn a_symlink_below_the_directory_leads_nowhere() -> TestResult {
    let directory = tempfile::tempdir()?;
    let outside = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    let name = object(1).to_string();
    let (folder, _) = name.rsplit_once('/').ok_or("records lie in folders")?;
    // A folder that is a symlink is neither read, nor written, nor cleared.
    fs::create_dir_all(directory.path().join("o"))?;
    symlink(outside.path(), directory.path().join(folder))?;
    fs::write(outside.path().join(&name[folder.len() + 1..]), "secret")?;
    let cache = open(path, &options())?;
    assert!(cache.read(&object(1), 100).is_err());
    cache.write(&object(1), Bytes::from_static(b"new"))?;
    assert!(cache.flush().is_err());
    assert!(cache.remove(&object(1)).is_err());
    assert_eq!(
        fs::read(outside.path().join(&name[folder.len() + 1..]))?,
        b"secret"
    );
    // So is a file.
    fs::remove_file(directory.path().join(folder))?;
    fs::create_dir_all(directory.path().join(folder))?;
    symlink(outside.path(), directory.path().join(&name))?;
    assert!(cache.read(&object(1), 100).is_err());
    assert!(!cache.exists(&object(1))?);
    cache.flush()?;
    assert_eq!(cache.read(&object(1), 100)?, b"new");
    Ok(())
}

#[test]
fn what_is_no_file_is_corrupt() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    fs::create_dir_all(directory.path().join(object(1).to_string()))?;
    let error = open(path, &options())?.read(&object(1), 100);
    assert!(
        matches!(
            error,
            Err(BackendError::Corrupt {
                problem: Corruption::Kind,
                ..
            })
        ),
        "{error:?}"
    );
    Ok(())
}

#[test]
fn a_directory_that_is_not_there_is_no_empty_cache() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("a/b");
    let cache = open(path.to_str().ok_or("a path of text")?, &options())?;
    assert_eq!(
        cache.read(&object(1), 1).map_err(|error| error.class()),
        Err(ErrorClass::File)
    );
    // Only its last part is made.
    assert!(cache.write(&object(1), Bytes::new()).is_err());
    assert!(!cache.is_writable()?);
    Ok(())
}

#[test]
fn who_may_not_write_is_denied() -> TestResult {
    if nix::unistd::geteuid().is_root() {
        // Root may; the same is run as an ordinary user.
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o555))?;
    let cache = open(
        directory.path().to_str().ok_or("a path of text")?,
        &options(),
    )?;
    assert!(!cache.is_writable()?);
    assert_eq!(
        cache
            .write(&object(1), Bytes::new())
            .map_err(|error| error.class()),
        Err(ErrorClass::Denied)
    );
    Ok(())
}
