//! Signatures that a store knows: merged, never lost, rebuilt with the database.

use std::{error::Error, fs, thread};

use store::{
    AddBatch, AddObject, AddSource, Component, LocalStore, MemoryNode, PathInfo, Realisation,
    ResolvedDigest,
    testing::TempStore,
    trust::{
        SecretKey, Signature, SignatureSet, Signatures, SignedComponent, SignedRealisation,
        Statement,
    },
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

fn key(seed: u8) -> TestResult<SecretKey> {
    Ok(SecretKey::from_seed(
        format!("key-{seed}").parse()?,
        &[seed; 32],
    ))
}

fn component(version: &str) -> Component {
    Component {
        name: "hello".into(),
        version: Some(version.into()),
        ..Component::default()
    }
}

fn add(store: &LocalStore, name: &str, component: Option<Component>) -> TestResult<PathInfo> {
    let object = AddObject {
        component,
        ..AddObject::new(name.parse()?, AddSource::Tree(MemoryNode::file(name)))
    };
    let batch = AddBatch {
        objects: vec![object],
        ..AddBatch::default()
    };
    Ok(store.add(batch)?.remove(0))
}

fn realisation(info: &PathInfo, built_at: u64) -> Realisation {
    Realisation {
        resolved: ResolvedDigest::from_bytes([7; 32]),
        output: "out".into(),
        object: info.id,
        path: info.path.clone(),
        sandbox: "full".into(),
        built_at,
        duration_ms: 5,
    }
}

/// All that one key can sign of an object.
fn sign(info: &PathInfo, seed: u8) -> TestResult<Signatures> {
    let key = key(seed)?;
    let component = info
        .component
        .as_ref()
        .map(serde_json::to_string)
        .transpose()?;
    let component = component.map(|json| {
        let signature = key.sign(&Statement::component(&info.id, &json));
        SignatureSet::new([signature]).map(|signatures| SignedComponent { json, signatures })
    });
    Ok(Signatures {
        object: SignatureSet::new([key.sign(&Statement::object(info))])?,
        component: component.transpose()?,
        realisations: vec![SignedRealisation::sign(
            realisation(info, u64::from(seed)),
            &key,
        )],
    })
}

/// The store after its database was lost.
fn rebuilt(store: TempStore) -> TestResult<TempStore> {
    let root = store.root().to_owned();
    for name in ["db.sqlite", "db.sqlite-wal", "db.sqlite-shm"] {
        match fs::remove_file(root.join("var").join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(store.reopen()?)
}

#[test]
fn signatures_are_merged_whenever_they_are_seen() -> TestResult {
    let store = TempStore::new();
    let info = add(&store, "hello", Some(component("1")))?;
    assert!(store.find_signatures(&info.id)?.is_empty());
    let (first, second) = (sign(&info, 1)?, sign(&info, 2)?);
    assert_eq!(store.add_signatures(&[(info.id, first.clone())])?, 1);
    assert_eq!(store.find_signatures(&info.id)?, first);
    assert_eq!(store.add_signatures(&[(info.id, first.clone())])?, 0);
    assert_eq!(store.add_signatures(&[(info.id, second.clone())])?, 1);
    let mut both = first;
    assert!(both.merge(&second));
    assert_eq!(store.find_signatures(&info.id)?, both);
    let resolved = ResolvedDigest::from_bytes([7; 32]);
    assert_eq!(
        store.find_realisation_signatures(&resolved)?,
        both.realisations
    );
    assert_eq!(both.realisations.len(), 2, "built at two times");
    assert_eq!(
        store.find_realisations_of(&info.id)?,
        [],
        "none was built here"
    );
    store.add_realisations(&[realisation(&info, 9)])?;
    assert_eq!(
        store.find_realisations_of(&info.id)?,
        [realisation(&info, 9)]
    );
    Ok(())
}

#[test]
fn a_lost_database_is_rebuilt_with_all_signatures() -> TestResult {
    let mut store = TempStore::new();
    let mut before = Vec::new();
    for name in ["hello", "other"] {
        let info = add(&store, name, Some(component("1")))?;
        for seed in 1..4 {
            store.add_signatures(&[(info.id, sign(&info, seed)?)])?;
        }
        before.push((info.id, store.find_signatures(&info.id)?));
    }
    // No record says more than the database did.
    let changed = add(&store, "hello", Some(component("2")))?;
    before[0].1 = store.find_signatures(&changed.id)?;
    assert_eq!(before[0].1.component, None);
    let realisations = store.find_realisation_signatures(&ResolvedDigest::from_bytes([7; 32]))?;
    store = rebuilt(store)?;
    for (object, signatures) in before {
        assert_eq!(store.find_signatures(&object)?, signatures);
    }
    let after = store.find_realisation_signatures(&ResolvedDigest::from_bytes([7; 32]))?;
    assert_eq!(after, realisations);
    assert_eq!(after.len(), 6);
    Ok(())
}

#[test]
fn signatures_of_a_component_go_with_its_text() -> TestResult {
    let store = TempStore::new();
    let old = add(&store, "hello", Some(component("1")))?;
    let signed = sign(&old, 1)?;
    store.add_signatures(&[(old.id, signed.clone())])?;
    let new = add(&store, "hello", Some(component("2")))?;
    assert_eq!(new.id, old.id);
    let known = store.find_signatures(&new.id)?;
    assert_eq!(
        (known.object, known.component),
        (signed.object.clone(), None)
    );
    // A cache that still has the old one is no help.
    assert_eq!(store.add_signatures(&[(old.id, signed)])?, 0);
    assert_eq!(store.find_signatures(&new.id)?.component, None);
    Ok(())
}

#[test]
fn what_is_not_about_a_valid_object_is_left_out() -> TestResult {
    let store = TempStore::new();
    let (info, other) = (add(&store, "hello", None)?, add(&store, "other", None)?);
    let foreign = Signatures {
        realisations: sign(&other, 1)?.realisations,
        ..Signatures::default()
    };
    assert_eq!(store.add_signatures(&[(info.id, foreign)])?, 0);
    assert!(store.find_signatures(&info.id)?.is_empty());
    let absent = store::ObjectId::from_bytes([9; 32]);
    assert_eq!(store.add_signatures(&[(absent, sign(&info, 1)?)])?, 0);
    assert!(store.find_signatures(&absent)?.is_empty());
    Ok(())
}

#[test]
fn a_flood_of_signatures_ends_at_the_limits() -> TestResult {
    let store = TempStore::new();
    let info = add(&store, "hello", None)?;
    let real = sign(&info, 1)?;
    store.add_signatures(&[(info.id, real.clone())])?;
    for round in 0..3_u8 {
        let junk = (0..60).map(|byte| {
            Ok(Signature::from_bytes(
                "key-1".parse()?,
                [byte + round * 60; 64],
            ))
        });
        let junk = SignatureSet::new(junk.collect::<TestResult<Vec<_>>>()?)?;
        let realisations = (0..60_u64).map(|time| SignedRealisation {
            realisation: realisation(&info, 1000 + time + u64::from(round) * 60),
            signatures: junk.clone(),
        });
        let flood = Signatures {
            object: junk.clone(),
            component: None,
            realisations: realisations.collect(),
        };
        store.add_signatures(&[(info.id, flood)])?;
    }
    let known = store.find_signatures(&info.id)?;
    assert_eq!((known.object.len(), known.realisations.len()), (64, 64));
    let mut still = known.clone();
    assert!(!still.merge(&real), "what was there first is there still");
    Ok(())
}

#[test]
fn writers_at_once_do_not_lose_each_others_signatures() -> TestResult {
    let store = TempStore::new();
    let info = add(&store, "hello", Some(component("1")))?;
    let mut signed = Vec::new();
    for seed in 1..9 {
        signed.push(sign(&info, seed)?);
    }
    let root = store.root();
    thread::scope(|scope| {
        let writers: Vec<_> = signed
            .iter()
            .map(|signatures| {
                scope.spawn(|| {
                    // A store of its own, as another process has.
                    let store = store::testing::open(root).map_err(|error| error.to_string())?;
                    store
                        .add_signatures(&[(info.id, signatures.clone())])
                        .map_err(|error| error.to_string())
                })
            })
            .collect();
        for writer in writers {
            assert_eq!(writer.join().map_err(|_| "a writer panicked")?, Ok(1));
        }
        Ok::<(), Box<dyn Error>>(())
    })?;
    let known = store.find_signatures(&info.id)?;
    assert_eq!((known.object.len(), known.realisations.len()), (8, 8));
    let store = rebuilt(store)?;
    assert_eq!(store.find_signatures(&info.id)?, known);
    Ok(())
}
