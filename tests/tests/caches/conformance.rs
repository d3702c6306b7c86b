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

use crate::{TestResult, name, noise, object, pack, samples::Content};

/// One cache, seen by who writes it and by who reads it.
pub(crate) struct Cache {
    pub(crate) writer: Arc<dyn Backend>,
    pub(crate) reader: Arc<dyn Backend>,
    pub(crate) can_list: bool,
    pub(crate) can_remove: bool,
    /// What may be written into it.
    pub(crate) content: Content,
}

impl Cache {
    /// A cache that is read and written in the same way.
    pub(crate) fn both(backend: Box<dyn Backend>, can_list: bool) -> Self {
        let backend: Arc<dyn Backend> = backend.into();
        Self {
            writer: Arc::clone(&backend),
            reader: backend,
            can_list,
            can_remove: true,
            content: Content::Any,
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
    write(cache, &[(name("cache.json"), cache.content.info()?)])?;
    for name in [object(1), pack(1), name("n/nobody")] {
        assert!(!cache.reader.exists(&name)?, "{name}");
        let absent = Some(ErrorClass::Absent);
        assert_eq!(class(cache.reader.read(&name, 10)), absent, "{name}");
        assert_eq!(class(read_part(cache, &name, 0..1)), absent, "{name}");
        if cache.can_remove {
            cache.writer.remove(&name)?;
        }
    }
    Ok(())
}

fn what_was_written_is_read_back(cache: &Cache) -> TestResult {
    let files = cache.content.every_kind()?;
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
    for (name, bytes) in [
        cache.content.pack(2, 1_000_000),
        cache.content.small(2, 1000),
    ] {
        let length = bytes.len() as u64;
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
    let (name, versions) = cache.content.rewritten();
    for bytes in &versions {
        write(cache, &[(name.clone(), bytes.clone())])?;
        assert!(cache.reader.read(&name, 1 << 20)? == *bytes);
    }
    // The last of several within one flush stays.
    let [.., one, other] = &versions[..] else {
        return Err("two versions are needed".into());
    };
    write(
        cache,
        &[(name.clone(), other.clone()), (name.clone(), one.clone())],
    )?;
    assert!(cache.reader.read(&name, 1 << 20)? == *one);
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
                        cache.content.pack(number, shared_length(number))
                    };
                    barrier.wait();
                    for (name, bytes) in (0..FILES).map(file) {
                        cache.writer.write(&name, Bytes::from(bytes))?;
                        // All want to write this one.
                        let (name, bytes) = cache.content.shared();
                        let bytes = Bytes::from(bytes);
                        persistently(|| cache.writer.write(&name, bytes.clone()))?;
                    }
                    cache.writer.flush()?;
                    for (name, bytes) in (0..FILES).map(file) {
                        assert!(cache.reader.read(&name, 1 << 20)? == bytes, "{name}");
                        assert!(
                            read_part(cache, &name, 100..1500)? == bytes[100..1500],
                            "{name}"
                        );
                    }
                    let (name, bytes) = cache.content.shared();
                    assert!(persistently(|| cache.reader.read(&name, 1 << 20))? == bytes);
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
    let (name, bytes) = cache.content.pack(32, 32 << 20);
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
    let packs = (1000..1096).map(|number| (number, shared_length(number)));
    let packs = packs.chain([(2, 1_000_000), (32, 32 << 20)]);
    let expected: BTreeMap<_, _> = packs
        .map(|(number, length)| cache.content.pack(number, length))
        .map(|(name, bytes)| (name, bytes.len() as u64))
        .collect();
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
    let pack = |number| cache.content.pack(number, shared_length(number)).0;
    for name in [
        pack(1000),
        cache.content.rewritten().0,
        cache.content.small(2, 1).0,
    ] {
        assert!(cache.reader.exists(&name)?, "{name}");
        if !cache.can_remove {
            let refused = class(cache.writer.remove(&name));
            assert_eq!(refused, Some(ErrorClass::Unsupported));
            continue;
        }
        cache.writer.remove(&name)?;
        assert!(!cache.reader.exists(&name)?, "{name}");
        assert_eq!(class(cache.reader.read(&name, 1)), Some(ErrorClass::Absent));
        cache.writer.remove(&name)?;
    }
    assert!(cache.reader.exists(&pack(1001))?);
    Ok(())
}
