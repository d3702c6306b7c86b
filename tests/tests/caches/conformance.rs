//! What every cache does, whatever is behind it.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    ops::Range,
    sync::{Arc, Barrier},
    thread,
};

use bytes::Bytes;
use store::cache::{
    backend::{Backend, BackendError, Corruption, ErrorClass, FileKind},
    format::CacheName,
};

use crate::{TestResult, name, noise, object, pack};

/// One cache, seen by who writes it and by who reads it.
pub(crate) struct Cache {
    pub(crate) writer: Arc<dyn Backend>,
    pub(crate) reader: Arc<dyn Backend>,
    pub(crate) can_list: bool,
}

impl Cache {
    /// A cache that is read and written in the same way.
    pub(crate) fn both(backend: Box<dyn Backend>, can_list: bool) -> Self {
        let backend: Arc<dyn Backend> = backend.into();
        Self {
            writer: Arc::clone(&backend),
            reader: backend,
            can_list,
        }
    }
}

/// Everything.
pub(crate) fn conforms(cache: &Cache) -> TestResult {
    what_is_not_there_is_absent(cache)?;
    what_was_written_is_read_back(cache)?;
    parts_are_exact(cache)?;
    files_are_written_over(cache)?;
    sixteen_threads_write_and_read_at_once(cache)?;
    the_largest_pack_goes_through(cache)?;
    listing_finds_everything(cache)?;
    what_is_removed_is_absent(cache)?;
    assert!(cache.writer.is_writable()?);
    Ok(())
}

fn write(cache: &Cache, files: &[(CacheName, Vec<u8>)]) -> TestResult {
    for (name, bytes) in files {
        cache.writer.write(name, Bytes::from(bytes.clone()))?;
    }
    Ok(cache.writer.flush()?)
}

fn read_part(cache: &Cache, name: &CacheName, range: Range<u64>) -> Result<Vec<u8>, BackendError> {
    let mut bytes = Vec::new();
    cache
        .reader
        .open_range(name, range)?
        .read_to_end(&mut bytes)
        .map_err(|error| BackendError::from_read(error, "a part"))?;
    Ok(bytes)
}

fn class<T>(result: Result<T, BackendError>) -> Option<ErrorClass> {
    result.err().map(|error| error.class())
}

/// Asks again, as `source` does, when a server says that it failed: Debian's registry answers 500 while a tag is written by two at once.
fn persistently<T>(
    mut attempt: impl FnMut() -> Result<T, BackendError>,
) -> Result<T, BackendError> {
    for _ in 0..100 {
        match attempt() {
            Err(error) if error.is_transient() => thread::yield_now(),
            result => return result,
        }
    }
    attempt()
}

fn what_is_not_there_is_absent(cache: &Cache) -> TestResult {
    // A directory has to be there before anything can be absent from it.
    write(cache, &[(name("cache.json"), b"{}".to_vec())])?;
    for name in [object(1), pack(1), name("n/nobody")] {
        assert!(!cache.reader.exists(&name)?, "{name}");
        let absent = Some(ErrorClass::Absent);
        assert_eq!(class(cache.reader.read(&name, 10)), absent, "{name}");
        assert_eq!(class(read_part(cache, &name, 0..1)), absent, "{name}");
        cache.writer.remove(&name)?;
    }
    Ok(())
}

fn what_was_written_is_read_back(cache: &Cache) -> TestResult {
    let hex = "ab".repeat(32);
    let digest = "0".repeat(40);
    let mut files = vec![
        (name("cache.json"), noise(1, 100)),
        (name("n/g++?=._-x"), noise(2, 40)),
        (name(&format!("c/00/{digest}")), noise(3, 70_000)),
        (name(&format!("t/00/{digest}")), noise(4, 3_000_000)),
        (name(&format!("r/ab/{hex}")), b"\0\r\n\xff".to_vec()),
        (name(&format!("b/ab/{hex}")), noise(6, (256 << 10) + 1)),
        (name(&format!("log/ab/{hex}.zst")), Vec::new()),
    ];
    files.extend(
        [(1, 1), (2, 256 << 10)].map(|(number, length)| (object(number), noise(number, length))),
    );
    write(cache, &files)?;
    for (name, bytes) in &files {
        let length = bytes.len() as u64;
        assert!(cache.reader.exists(name)?, "{name}");
        assert!(cache.reader.read(name, length)? == *bytes, "{name}");
        assert!(cache.reader.read(name, length + 7)? == *bytes, "{name}");
        if let Some(limit_bytes) = length.checked_sub(1) {
            let error = cache.reader.read(name, limit_bytes);
            assert!(
                matches!(
                    error,
                    Err(BackendError::Corrupt { problem: Corruption::TooLarge { limit_bytes: limit }, .. })
                        if limit == limit_bytes
                ),
                "{name}: {error:?}"
            );
        }
    }
    Ok(())
}

fn parts_are_exact(cache: &Cache) -> TestResult {
    // One that every back end keeps as it likes: in the middle of a file of its own, and in the small text of another.
    for (name, length) in [(pack(2), 1_000_000_u64), (object(2), 1000)] {
        let bytes = noise(length, usize::try_from(length)?);
        write(cache, &[(name.clone(), bytes.clone())])?;
        let cut = |part: &Range<u64>| -> TestResult<Vec<u8>> {
            Ok(bytes[usize::try_from(part.start)?..usize::try_from(part.end)?].to_vec())
        };
        let mut parts = vec![0..1, 0..length, length - 1..length, 1..length - 1, 5..5];
        let random = noise(77, 16 * 40);
        parts.extend(random.chunks_exact(16).map(|pair| {
            let number = |at: usize| {
                u64::from_le_bytes(pair[at..at + 8].try_into().expect("eight bytes")) % length
            };
            number(0).min(number(8))..number(0).max(number(8))
        }));
        for part in parts {
            assert!(
                read_part(cache, &name, part.clone())? == cut(&part)?,
                "{part:?}"
            );
        }
        for part in [
            length - 1..length + 1,
            length..length + 1,
            length + 5..length + 9,
        ] {
            let error = read_part(cache, &name, part.clone());
            assert_eq!(class(error), Some(ErrorClass::Corrupt), "{part:?}");
        }
        // Who leaves early harms nobody.
        let mut some = [0; 10];
        cache
            .reader
            .open_range(&name, 0..length)?
            .read_exact(&mut some)?;
        assert_eq!(some[..], bytes[..10]);
    }
    Ok(())
}

fn files_are_written_over(cache: &Cache) -> TestResult {
    let name = object(3);
    for bytes in [noise(1, 100), noise(1, 100), noise(2, 300_000), noise(3, 5)] {
        write(cache, &[(name.clone(), bytes.clone())])?;
        assert!(cache.reader.read(&name, 1 << 20)? == bytes);
    }
    // The last of several within one flush stays.
    write(
        cache,
        &[(name.clone(), noise(4, 9)), (name.clone(), noise(5, 9))],
    )?;
    assert_eq!(cache.reader.read(&name, 9)?, noise(5, 9));
    Ok(())
}

/// The length of the file that is written under a number while others are.
fn shared_length(number: u64) -> usize {
    if number.is_multiple_of(3) {
        2000
    } else {
        14_000
    }
}

fn sixteen_threads_write_and_read_at_once(cache: &Cache) -> TestResult {
    const THREADS: u64 = 16;
    const FILES: u64 = 6;
    let barrier = Barrier::new(16);
    let result: Result<(), BackendError> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let file = |number| {
                        let number = 1000 + thread * FILES + number;
                        (pack(number), noise(number, shared_length(number)))
                    };
                    barrier.wait();
                    for (name, bytes) in (0..FILES).map(file) {
                        cache.writer.write(&name, Bytes::from(bytes))?;
                        // All want to write this one.
                        let bytes = Bytes::from(noise(999, 5000));
                        persistently(|| cache.writer.write(&object(999), bytes.clone()))?;
                    }
                    cache.writer.flush()?;
                    for (name, bytes) in (0..FILES).map(file) {
                        assert!(cache.reader.read(&name, 1 << 20)? == bytes, "{name}");
                        assert!(
                            read_part(cache, &name, 100..1500)? == bytes[100..1500],
                            "{name}"
                        );
                    }
                    let found = persistently(|| cache.reader.read(&object(999), 1 << 20))?;
                    assert!(found == noise(999, 5000));
                    Ok::<(), BackendError>(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("the thread's assertions hold")?;
        }
        Ok(())
    });
    Ok(result?)
}

fn the_largest_pack_goes_through(cache: &Cache) -> TestResult {
    let bytes = noise(32, 32 << 20);
    let name = pack(32);
    write(cache, &[(name.clone(), bytes.clone())])?;
    let length = bytes.len() as u64;
    assert!(cache.reader.read(&name, length)? == bytes);
    for part in [0..length, length - 5000..length, 20 << 20..21 << 20] {
        let expected = &bytes[usize::try_from(part.start)?..usize::try_from(part.end)?];
        assert!(read_part(cache, &name, part)? == expected);
    }
    let mut reader = cache.reader.open_range(&name, 1..length)?;
    assert_eq!(io::copy(&mut reader, &mut io::sink())?, length - 1);
    Ok(())
}

fn listing_finds_everything(cache: &Cache) -> TestResult {
    let mut found = BTreeMap::new();
    let result = cache.writer.list(FileKind::Pack, &mut |file| {
        assert!(file.modified > std::time::SystemTime::UNIX_EPOCH);
        found.insert(file.name, file.size_bytes);
    });
    if !cache.can_list {
        assert_eq!(class(result), Some(ErrorClass::Unsupported));
        return Ok(());
    }
    result?;
    let mut expected = BTreeMap::from([(pack(2), 1_000_000), (pack(32), 32 << 20)]);
    expected.extend((1000..1096).map(|number| (pack(number), shared_length(number) as u64)));
    assert_eq!(found, expected);
    for (kind, count) in [
        (FileKind::NameHint, 1),
        (FileKind::Log, 1),
        (FileKind::Closure, 1),
    ] {
        let mut names = Vec::new();
        cache.writer.list(kind, &mut |file| names.push(file.name))?;
        assert_eq!(names.len(), count, "{names:?}");
    }
    Ok(())
}

fn what_is_removed_is_absent(cache: &Cache) -> TestResult {
    for name in [pack(1000), object(3), name("n/g++?=._-x")] {
        assert!(cache.reader.exists(&name)?, "{name}");
        cache.writer.remove(&name)?;
        assert!(!cache.reader.exists(&name)?, "{name}");
        assert_eq!(class(cache.reader.read(&name, 1)), Some(ErrorClass::Absent));
        cache.writer.remove(&name)?;
    }
    assert!(cache.reader.exists(&pack(1001))?);
    Ok(())
}
