//! Closures as streams, from one store into another.

use proptest::prelude::*;
use store::{
    AddBatch, AddObject, AddSource, Component, LocalStore, MemoryNode, NewRealisation, PathInfo,
    ResolvedDigest, StorePath, Watch,
    export::{Believe, ImportError, Imported, export, import},
    scratch_path,
    testing::{TEST_TIME, TempStore, find_faults, memory_tree, noise},
    trust::{
        Policy, PolicyRules, SecretKey, SignatureSet, Signatures, SignedComponent,
        SignedRealisation, Statement, TrustedKey,
    },
};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const RESOLVED: ResolvedDigest = ResolvedDigest::from_bytes([7; 32]);

/// A library, and a program that refers to it and to itself.
fn fill(store: &LocalStore, large: usize) -> TestResult<(PathInfo, PathInfo)> {
    let tree = memory_tree(&[
        ("lib/large", MemoryNode::file(noise("", large))),
        ("lib/copy", MemoryNode::file(noise("", large))),
        ("lib/one", MemoryNode::file("one")),
        ("lib/empty", MemoryNode::file("")),
        ("lib/link", MemoryNode::symlink("one")?),
        ("none", MemoryNode::directory()),
    ]);
    let library = store::testing::add_tree(store, "library", tree, &[])?;
    let scratch = scratch_path(&"program".parse()?, "out");
    let text = format!("{} {}", library.path.to_logical(), scratch.to_logical());
    let mut object = AddObject::new(
        "program".parse()?,
        AddSource::Tree(MemoryNode::program(text)),
    );
    object.scratch = Some(scratch);
    object.component = Some(Component {
        name: "program".to_owned(),
        ..Component::default()
    });
    let added = store.add(AddBatch {
        objects: vec![object],
        candidates: vec![(library.path.clone(), library.id)],
        realisations: vec![NewRealisation {
            resolved: RESOLVED,
            output: "out".to_owned(),
            object: 0,
            sandbox: "full".to_owned(),
            built_at: 1,
            duration_ms: 2,
        }],
        ..AddBatch::default()
    })?;
    let program = added.into_iter().next().ok_or("one object was added")?;
    Ok((library, program))
}

fn stream_of(store: &LocalStore, path: &StorePath) -> TestResult<Vec<u8>> {
    let mut stream = Vec::new();
    export(
        store,
        std::slice::from_ref(path),
        &mut stream,
        &Watch::nobody(),
    )?;
    Ok(stream)
}

fn take(store: &LocalStore, stream: &[u8], believe: Believe<'_>) -> Result<Imported, ImportError> {
    let lease = store.lease()?;
    import(store, &mut &stream[..], believe, &lease, &Watch::nobody())
}

fn key() -> TestResult<SecretKey> {
    Ok(SecretKey::from_seed("key-1".parse()?, &[1; 32]))
}

fn trusting() -> TestResult<Policy> {
    Ok(Policy::new(PolicyRules {
        keys: vec![TrustedKey {
            key: key()?.public(),
            until: None,
        }],
        ..PolicyRules::default()
    }))
}

#[test]
fn a_closure_goes_from_store_to_store() -> TestResult {
    let (from, to) = (TempStore::new(), TempStore::new());
    let (library, program) = fill(&from, 3 << 20)?;
    let stream = stream_of(&from, &program.path)?;
    let imported = take(&to, &stream, Believe::Everything)?;
    assert_eq!(imported.roots, std::slice::from_ref(&program.path));
    assert_eq!(
        imported.objects,
        [library.path.clone(), program.path.clone()]
    );
    for info in [&library, &program] {
        assert_eq!(to.path_info(&info.path)?.as_ref(), Some(info));
    }
    assert_eq!(
        to.find_realisations(&RESOLVED)?,
        from.find_realisations(&RESOLVED)?
    );
    assert_eq!(find_faults(&to), [""; 0]);
    // The copy has no second content.
    assert!(stream.len() < 4 << 20, "{}", stream.len());
    assert_eq!(stream_of(&to, &program.path)?, stream);
    let again = take(&to, &stream, Believe::Everything)?;
    assert_eq!((again.objects.len(), again.known), (0, 2));
    Ok(())
}

#[test]
fn only_what_is_missing_is_written() -> TestResult {
    let (from, to) = (TempStore::new(), TempStore::new());
    let (library, program) = fill(&from, 100_000)?;
    let stream = stream_of(&from, &program.path)?;
    take(&to, &stream_of(&from, &library.path)?, Believe::Everything)?;
    let imported = take(&to, &stream, Believe::Everything)?;
    assert_eq!(imported.objects, std::slice::from_ref(&program.path));
    assert_eq!(imported.known, 1);
    Ok(())
}

#[test]
fn facts_that_no_trusted_key_has_signed_stay_behind() -> TestResult {
    let from = TempStore::new();
    let (_, program) = fill(&from, 10)?;
    let policy = trusting()?;
    let believe = Believe::Signed {
        policy: &policy,
        now: TEST_TIME,
    };
    let unsigned = stream_of(&from, &program.path)?;
    let to = TempStore::new();
    let imported = take(&to, &unsigned, believe)?;
    assert_eq!(
        imported.without_component,
        std::slice::from_ref(&program.path)
    );
    assert_eq!(imported.unbelieved_realisations, 1);
    assert!(to.find_realisations(&RESOLVED)?.is_empty());
    let found = to.path_info(&program.path)?.ok_or("valid")?;
    assert_eq!(found.component, None);
    assert_eq!(find_faults(&to), [""; 0]);

    let realisation = from.find_realisations(&RESOLVED)?.remove(0);
    let json = serde_json::to_string(&program.component)?;
    let key = key()?;
    let sign = |statement: &Statement| SignatureSet::new([key.sign(statement)]);
    let signatures = Signatures {
        object: sign(&Statement::object(&program))?,
        component: Some(SignedComponent {
            signatures: sign(&Statement::component(&program.id, &json))?,
            json,
        }),
        realisations: vec![SignedRealisation::sign(realisation.clone(), &key)],
    };
    from.add_signatures(&[(program.id, signatures.clone())])?;
    let signed = stream_of(&from, &program.path)?;
    let to = TempStore::new();
    let imported = take(&to, &signed, believe)?;
    assert!(imported.without_component.is_empty());
    assert_eq!(imported.unbelieved_realisations, 0);
    assert_eq!(to.find_realisations(&RESOLVED)?, [realisation]);
    assert_eq!(to.find_signatures(&program.id)?, signatures);
    assert_eq!(
        to.path_info(&program.path)?.ok_or("valid")?.component,
        program.component
    );
    Ok(())
}

#[test]
fn a_stream_that_ends_anywhere_is_told_from_a_whole_one() -> TestResult {
    let (from, to) = (TempStore::new(), TempStore::new());
    let (_, program) = fill(&from, 100)?;
    let stream = stream_of(&from, &program.path)?;
    for length in 0..stream.len() {
        match take(&to, &stream[..length], Believe::Everything) {
            Err(ImportError::NotAStream) if length < 8 => {}
            Err(ImportError::Truncated { bytes }) => assert_eq!(bytes, length as u64),
            other => return Err(format!("{length}: {other:?}").into()),
        }
    }
    assert_eq!(find_faults(&to), [""; 0]);
    let longer = [&stream[..], &[0]].concat();
    assert!(matches!(
        take(&to, &longer, Believe::Everything),
        Err(ImportError::Trailing)
    ));
    take(&to, &stream, Believe::Everything)?;
    assert_eq!(find_faults(&to), [""; 0]);
    Ok(())
}

#[test]
fn every_changed_byte_is_noticed() -> TestResult {
    let (from, to) = (TempStore::new(), TempStore::new());
    let (_, program) = fill(&from, 100)?;
    let stream = stream_of(&from, &program.path)?;
    for at in 0..stream.len() {
        let mut changed = stream.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(
            take(&to, &changed, Believe::Everything).is_err(),
            "byte {at}"
        );
    }
    assert_eq!(find_faults(&to), [""; 0]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done to a stream, its digest made right again or not, the store has only objects that are what they are called.
    #[test]
    fn garbled_streams_harm_nothing(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(), is_sealed: bool) {
        let (from, to) = (TempStore::new(), TempStore::new());
        let (_, program) = fill(&from, 100).unwrap();
        let mut stream = stream_of(&from, &program.path).unwrap();
        for (at, byte) in edits {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        if cut.index(4) == 0 {
            stream.truncate(cut.index(stream.len()));
        }
        if is_sealed && stream.len() > 40 {
            let end = stream.len() - 32;
            let digest = *blake3::hash(&stream[..end]).as_bytes();
            stream[end..].copy_from_slice(&digest);
        }
        let _imported: Result<Imported, ImportError> = take(&to, &stream, Believe::Everything);
        prop_assert_eq!(find_faults(&to), [""; 0]);
    }
}

#[test]
fn a_damaged_file_is_not_exported() -> TestResult {
    let from = TempStore::new();
    let (library, program) = fill(&from, 100)?;
    let file = from.real_path(&library.path).join("lib/one");
    std::fs::remove_file(&file).or_else(|_| {
        store::testing::make_writable(&from.real_path(&library.path))?;
        std::fs::remove_file(&file)
    })?;
    std::fs::write(&file, "eno")?;
    let error = stream_of(&from, &program.path)
        .err()
        .ok_or("it is damaged")?;
    assert_eq!(
        error.to_string(),
        format!("`lib/one` of `{}` is damaged", library.path)
    );
    Ok(())
}

#[test]
fn streams_of_other_versions_are_told_apart_from_damage() {
    let to = TempStore::new();
    assert!(matches!(
        take(&to, b"PTHEXP02 whatever", Believe::Everything),
        Err(ImportError::Version { found }) if found == "02"
    ));
    assert!(matches!(
        take(&to, b"nix-archive-1", Believe::Everything),
        Err(ImportError::NotAStream)
    ));
}
