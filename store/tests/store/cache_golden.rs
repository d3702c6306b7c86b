//! Files of a cache that must be read for ever as they are here.
//!
//! Written from the format's description by another program, with the `zstd`, `b3sum` and `openssl` of a distribution; so nothing here was made by the
//! code that it tests. The object is that of the worked example in `cache/FORMAT.md`.

use std::{error::Error, sync::Arc};

use store::{
    BlobId, MemoryNode, ObjectId, PathDigest, PlanDigest, ResolvedDigest,
    cache::{
        format::{
            CacheInfo, CacheName, ClosureIndex, Manifest, NameHint, ObjectRecord, PlanHint, Prefix,
            RealisationSet, encode_closure,
        },
        pack::{BlobSource, PackWriter, blob_in, read_frame},
    },
    testing::memory_tree,
    trust::{SecretKey, SignatureSet, Statement},
};

type TestResult = Result<(), Box<dyn Error>>;

const ID: &str = "blake3:77c64ebf34bbbcfc5e05c36e2fcd7269f7c884c3458e10e6cf810e7af367fc57";
const PATH: &str = "fz34xgrlpfygqph5qdp2zkbjd7vwi1638n711rng-example-1";
const PACK: &str = "50544850414b303128b52ffd200319000068690a";
const PACK_NAME: &str = "p/01/01531f998fff7354490d2d14b724af06583692126f59bfe0ae189730b5090296";
const BODY: &str = "400000005452454501000000020000000202686903000000000000000b8b60248fad7ac6dfac221b7e01a8b91c772421a15b387dd1fb2d6a94aee43804026c6e020068690100000001531f998fff7354490d2d14b724af06583692126f59bfe0ae189730b50902960100000000000000080000000c000000030000000b8b60248fad7ac6dfac221b7e01a8b91c772421a15b387dd1fb2d6a94aee438010000000b8b60248fad7ac6dfac221b7e01a8b91c772421a15b387dd1fb2d6a94aee438030000000000000001000000000000000000000003000000";
const MANIFEST: &str = "5054484d414e303128b52ffd20d8450400b4064000000054524545010000000202686903000b8b60248fad7ac6dfac221b7e01a8b91c772421a15b387dd1fb2d6a94aee43804026c6e0200686901531f998fff7354490d2d14b724af06583692126f59bfe0ae189730b5090296080000000c0000000100000000030000000a0063107819021c256f0c0c6760c66dc051fbf0d52a387cb7dc17";
const CLOSURE: &str = "505448434c4f303101000000bd01000072020000000000009900000028b52ffd6046019d0d00565d6227e008cd03e8e671159aa6bca6742765e15969fe83daef060f7a087d70a9f7d8394d98611be4c301530055005800898a5a2d6bfa55cd947c2aeb8c319eaac63f55d9daabbec2edb05fae712ef9447cf779aee811db06e7b4dbaad5e44220ab75b0c2483fed4371becf36d25f076ea2a98eda2fe788f773695ebe3d2e041fe40c011bdd7de85202c2e5e1e7fde0eb075df280004c121ee051f358e088fc1aa283629c81a6c3ff347ed381aca16020318e4ca45ccaa3c0364c12c2fc72d1f34097dc5259dbaaea6b5f4e4be7eae57c8b9a6a9e2c2b5b1dd5b3485a70182f938a00b4cdbdddc528939386e234b88d0b5520f420790b8471ebc0483431b050754723e57ad74420800be2dd1b176e1a7cbae47ef97bee7686cbc5fddbfb3c5ed6bced52154778f32317baf46177f5e501000d756f1ea4d1c9604708246a81dc1da62483430e56b19f0cc3d0c82b2e5ba3b9483e76e44cc4ac90941aa19ee5a3641c10cde38e14ac25c3623a098dd155b00af84d302370dcf0401f8b8995617d9922c745807b5838a1f83a320e00140c714785d718b0b65986ea8b24ac033512a38518c072acc54ba5d61a38b501b9910a80065054484d414e303128b52ffd20d8450400b4064000000054524545010000000202686903000b8b60248fad7ac6dfac221b7e01a8b91c772421a15b387dd1fb2d6a94aee43804026c6e0200686901531f998fff7354490d2d14b724af06583692126f59bfe0ae189730b5090296080000000c0000000100000000030000000a0063107819021c256f0c0c6760c66dc051fbf0d52a387cb7dc17";
const INFO: &str = concat!(
    r#"{"version":1,"store_dir":"/pith/store","keys":["example-1:6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="]}"#,
    "\n"
);
const RECORD: &str = concat!(
    r#"{"version":1,"path":"fz34xgrlpfygqph5qdp2zkbjd7vwi1638n711rng-example-1","id":"blake3:77c64ebf34bbbcfc5e05c36e2fcd7269f7c884c3458e10e6cf810e7af367fc57","root":"AwMAAAAAAAAAAgAAAAAAAABm5aPtCIV0SkHCF2neHqesfdSiA2ItHp0LbDJXzbYsMA==","references":[],"self_reference":false,"size_bytes":3,"nodes":3,"component":{"name":"example","version":"1"},"component_signatures":["example-1:oaPzya6wAG4xyF3aGKTeM+2KQwigiHh5X40CyDagn1gvO6NUz+R20To30jpB9b8JiEUIx1UfbC8NDJ2+saIOCA=="],"signatures":["example-1:r1prQAQlGd9jV7G0fbPzaJXKIWPpTo2L3P0BctNhz7qMUXXnUBeL2VACq7QAhsbWM1+lcEftvwIbWjHKogn3CA=="]}"#,
    "\n"
);
const REALISATIONS: &str = concat!(
    r#"{"version":1,"resolved":"blake3:1111111111111111111111111111111111111111111111111111111111111111","realisations":[{"output":"out","object":"blake3:77c64ebf34bbbcfc5e05c36e2fcd7269f7c884c3458e10e6cf810e7af367fc57","path":"fz34xgrlpfygqph5qdp2zkbjd7vwi1638n711rng-example-1","sandbox":"full","built_at":1700000000,"duration_ms":1500,"signatures":["example-1:xcm3TC/c+QAiX5TTLiUkooWU9Ar2yfzpuhmGC7pLDlRSTD4W8HVfLox2KOftDzxU9BtafiK84MP4oIcbQhzcAQ=="]}]}"#,
    "\n"
);
const HINT: &str = concat!(
    r#"{"version":1,"plan":"blake3:2222222222222222222222222222222222222222222222222222222222222222","realisations":[{"resolved":"blake3:1111111111111111111111111111111111111111111111111111111111111111","output":"out","object":"blake3:77c64ebf34bbbcfc5e05c36e2fcd7269f7c884c3458e10e6cf810e7af367fc57","path":"fz34xgrlpfygqph5qdp2zkbjd7vwi1638n711rng-example-1","sandbox":"full","built_at":1700000000,"duration_ms":1500,"signatures":["example-1:xcm3TC/c+QAiX5TTLiUkooWU9Ar2yfzpuhmGC7pLDlRSTD4W8HVfLox2KOftDzxU9BtafiK84MP4oIcbQhzcAQ=="]}]}"#,
    "\n"
);

fn bytes(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16);
    Ok((0..hex.len())
        .step_by(2)
        .map(byte)
        .collect::<Result<_, _>>()?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn example() -> Result<MemoryNode, Box<dyn Error>> {
    Ok(memory_tree(&[
        ("hi", MemoryNode::program("hi\n")),
        ("ln", MemoryNode::symlink("hi")?),
    ]))
}

fn digest() -> Result<PathDigest, Box<dyn Error>> {
    Ok(*PATH.parse::<store::StorePath>()?.digest())
}

fn key() -> Result<SecretKey, Box<dyn Error>> {
    Ok(SecretKey::from_seed("example-1".parse()?, &[7; 32]))
}

#[test]
fn the_names_are_pinned() -> TestResult {
    let path = digest()?;
    let (resolved, plan) = (
        ResolvedDigest::from_bytes([0x11; 32]),
        PlanDigest::from_bytes([0x22; 32]),
    );
    let (ones, twos) = ("1".repeat(64), "2".repeat(64));
    let d = path.to_string();
    for (name, text) in [
        (CacheName::Info, "cache.json".to_owned()),
        (CacheName::Object(path), format!("o/fz/{d}")),
        (CacheName::Closure(path), format!("c/fz/{d}")),
        (CacheName::Manifest(path), format!("t/fz/{d}")),
        (CacheName::Realisations(resolved), format!("r/11/{ones}")),
        (CacheName::PlanHint(plan), format!("b/22/{twos}")),
        (
            CacheName::name_hint(&"example-1".parse()?),
            "n/example".to_owned(),
        ),
        (CacheName::Log(resolved), format!("log/11/{ones}.zst")),
    ] {
        assert_eq!(name.to_string(), text);
        assert_eq!(text.parse::<CacheName>()?, name);
    }
    Ok(())
}

#[test]
fn the_description_of_a_cache_is_pinned() -> TestResult {
    let info = CacheInfo {
        keys: vec![key()?.public()],
    };
    assert_eq!(CacheInfo::decode(INFO.as_bytes())?, info);
    assert_eq!(String::from_utf8(info.encode()?)?, INFO);
    Ok(())
}

#[test]
fn the_record_and_what_is_signed_of_it_are_pinned() -> TestResult {
    let record = ObjectRecord::decode(RECORD.as_bytes())?;
    assert_eq!(record.info().id, ID.parse::<ObjectId>()?);
    assert_eq!(record.info().root, example()?.to_bundle()?.0);
    assert_eq!(
        record.component_text(),
        Some(r#"{"name":"example","version":"1"}"#)
    );
    let public = key()?.public();
    let is_signed = |statement: &Statement, signatures: &SignatureSet| {
        signatures.len() == 1 && signatures.iter().all(|one| public.verifies(statement, one))
    };
    let text = record.component_text().unwrap_or_default();
    assert!(is_signed(
        &Statement::object(record.info()),
        &record.signatures
    ));
    assert!(is_signed(
        &Statement::component(&record.info().id, text),
        &record.component_signatures
    ));
    assert_eq!(String::from_utf8(record.encode()?)?, RECORD);
    Ok(())
}

#[test]
fn the_pack_is_pinned() -> TestResult {
    let blob = BlobId::from_bytes(*blake3::hash(b"hi\n").as_bytes());
    let source = BlobSource {
        id: blob,
        size: 3,
        reader: &b"hi\n"[..],
    };
    let mut writer = PackWriter::new([Ok(source)].into_iter(), Arc::default());
    let pack = writer.next_pack()?.ok_or("no pack")?;
    assert_eq!(hex(&pack.bytes), PACK);
    assert_eq!(CacheName::Pack(pack.digest).to_string(), PACK_NAME);
    assert_eq!(writer.next_pack()?, None);
    let (root, trees) = example()?.to_bundle()?;
    let manifest = Manifest::new(&root, trees, &writer.finish()?)?;
    assert_eq!(Manifest::decode(&bytes(MANIFEST)?, &root)?, manifest);
    let part = manifest.find_blob(&blob).ok_or("no blob")?.parts[0];
    let content = read_frame(&manifest.frames()[0], &pack.bytes[8..])?;
    assert_eq!(blob_in(&content, part.offset, part.length, &blob)?, b"hi\n");
    Ok(())
}

/// What zstd makes of the body may change with its version; the body may not.
#[test]
fn the_manifest_is_pinned() -> TestResult {
    let (root, _) = example()?.to_bundle()?;
    let manifest = Manifest::decode(&bytes(MANIFEST)?, &root)?;
    let encoded = manifest.encode()?;
    assert_eq!(&encoded[..8], b"PTHMAN01");
    assert_eq!(hex(&zstd::decode_all(&encoded[8..])?), BODY);
    assert_eq!(hex(&zstd::decode_all(&bytes(MANIFEST)?[8..])?), BODY);
    assert_eq!(
        Manifest::new(&root, manifest.trees().clone(), &manifest.locations())?,
        manifest
    );
    assert_eq!(
        manifest.locations().into_keys().collect::<Vec<_>>(),
        manifest.blobs().map(|blob| blob.id).collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn the_closure_bundle_is_pinned() -> TestResult {
    let (closure, manifest) = (bytes(CLOSURE)?, bytes(MANIFEST)?);
    let record = ObjectRecord::decode(RECORD.as_bytes())?;
    let parse = |bytes: &[u8]| match ClosureIndex::parse(bytes, &digest()?)? {
        Prefix::Whole(index) => Ok::<_, Box<dyn Error>>(index),
        Prefix::Short { needed } => Err(format!("{needed} bytes are needed").into()),
    };
    let index = parse(&closure[..473])?;
    assert_eq!(index.records(), std::slice::from_ref(&record));
    assert_eq!(index.manifests(), std::slice::from_ref(&(473..626)));
    assert_eq!(closure[473..], manifest);
    let again = encode_closure(&[(record, manifest)])?;
    assert_eq!(parse(&again)?.records(), index.records());
    assert_eq!(again[..12], closure[..12]);
    Ok(())
}

#[test]
fn realisations_and_hints_are_pinned() -> TestResult {
    let resolved = ResolvedDigest::from_bytes([0x11; 32]);
    let set = RealisationSet::decode(REALISATIONS.as_bytes(), &resolved)?;
    let entry = &set.entries()[0];
    let statement = Statement::realisation(&entry.realisation);
    let public = key()?.public();
    assert!(
        entry
            .signatures
            .iter()
            .all(|one| public.verifies(&statement, one))
    );
    assert_eq!((set.entries().len(), entry.signatures.len()), (1, 1));
    assert_eq!(entry.realisation.path.to_string(), PATH);
    assert_eq!(String::from_utf8(set.encode()?)?, REALISATIONS);

    let plan = PlanDigest::from_bytes([0x22; 32]);
    let hint = PlanHint::decode(HINT.as_bytes(), &plan)?;
    assert_eq!(hint.entries(), set.entries());
    assert_eq!(String::from_utf8(hint.encode()?)?, HINT);

    let name = NameHint { object: digest()? };
    assert_eq!(name.encode(), b"fz34xgrlpfygqph5qdp2zkbjd7vwi1638n711rng\n");
    Ok(())
}
