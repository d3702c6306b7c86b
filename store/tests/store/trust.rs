//! Keys, statements and signatures, whose bytes may never change without a new version. The values here were computed from `cache/FORMAT.md` by another
//! program with another implementation of ed25519.

use std::error::Error;

use store::{
    BlobId, Node, ObjectId, PathDigest, PathInfo, Realisation, Reference, ResolvedDigest,
    StorePath, SymlinkTarget, TreeId,
    trust::{SecretKey, Signature, Statement},
};

type TestResult = Result<(), Box<dyn Error>>;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key() -> Result<SecretKey, Box<dyn Error>> {
    Ok(SecretKey::from_seed("test-1".parse()?, &[7; 32]))
}

fn path(name: &str) -> Result<StorePath, Box<dyn Error>> {
    Ok(StorePath::new(
        PathDigest::from_bytes([0x11; 25]),
        name.parse()?,
    ))
}

fn info(name: &str, root: Node, references: &[u8]) -> Result<PathInfo, Box<dyn Error>> {
    let references = references.iter().map(|byte| {
        Ok(Reference {
            path: path("other")?,
            id: ObjectId::from_bytes([*byte; 32]),
            file: "not part of the statement".to_owned(),
            offset: 9,
        })
    });
    Ok(PathInfo {
        path: path(name)?,
        id: ObjectId::from_bytes([0x11; 32]),
        self_reference: !matches!(root, Node::Symlink { .. }),
        size_bytes: root.totals()?.size_bytes,
        nodes: root.totals()?.nodes,
        root,
        references: references.collect::<Result<_, Box<dyn Error>>>()?,
        registered: 5,
        component: None,
    })
}

fn directory() -> Node {
    Node::Directory {
        tree: TreeId::from_bytes([0x22; 32]),
        size_bytes: 1000,
        nodes: 12,
    }
}

fn realisation() -> Result<Realisation, Box<dyn Error>> {
    Ok(Realisation {
        resolved: ResolvedDigest::from_bytes([0x55; 32]),
        output: "dev".to_owned(),
        object: ObjectId::from_bytes([0x11; 32]),
        path: path("hello-2.12-dev")?,
        sandbox: "full".to_owned(),
        built_at: 1_700_000_000,
        duration_ms: 1234,
    })
}

fn assert_pinned(statement: &Statement, bytes: &str, signature: &str) -> TestResult {
    assert_eq!(hex(statement.as_bytes()), bytes);
    assert_eq!(key()?.sign(statement).to_string(), signature);
    assert!(key()?.public().verifies(statement, &signature.parse()?));
    Ok(())
}

#[test]
fn keys_are_pinned() -> TestResult {
    assert_eq!(
        key()?.public().to_string(),
        "test-1:6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="
    );
    assert_eq!(
        *key()?.to_text(),
        "test-1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwfqSmxj4pxSCr71UHsTLsX5lUd2rr6+e5JCHuppFEbSLA=="
    );
    Ok(())
}

#[test]
fn the_statement_of_an_object_is_pinned() -> TestResult {
    assert_pinned(
        // The order of references is that of their ids.
        &Statement::object(&info("hello-2.12", directory(), &[0x44, 0x33, 0x44])?),
        "70697468206f626a656374207369676e6174757265207631000b0000002f706974682f73746f72650a00000068656c6c6f2d322e313211111111111111111111111111111111111111111111111111111111111111113100000003e8030000000000000c000000000000002222222222222222222222222222222222222222222222222222222222222222e8030000000000000d00000000000000010200000033333333333333333333333333333333333333333333333333333333333333334444444444444444444444444444444444444444444444444444444444444444",
        "test-1:zuVdhLEgF7Cc4uy3MI15iPhcIveb+1XHXXOmAlSUVQ1c5/PqrncddcEtMRAvHekVF2UNwAm4HBpM7MhSnN15Cg==",
    )?;
    let link = Node::Symlink {
        target: SymlinkTarget::new(b"a/b")?,
    };
    assert_pinned(
        &Statement::object(&info("link", link, &[])?),
        "70697468206f626a656374207369676e6174757265207631000b0000002f706974682f73746f7265040000006c696e6b111111111111111111111111111111111111111111111111111111111111111106000000040300612f62000000000000000001000000000000000000000000",
        "test-1:SZA/DooojZZ5JLoAmW8qW6XLAFYdqumzRy1etsSLNpr2hTtEvRR33Qj9V0sJDqMDGOByH4mNRDObkTTbIS1PCQ==",
    )
}

#[test]
fn the_statement_of_a_realisation_is_pinned() -> TestResult {
    assert_pinned(
        &Statement::realisation(&realisation()?),
        "70697468207265616c69736174696f6e207369676e6174757265207631000b0000002f706974682f73746f726555555555555555555555555555555555555555555555555555555555555555550300000064657611111111111111111111111111111111111111111111111111111111111111110400000066756c6c00f1536500000000d204000000000000",
        "test-1:6RsMPJ+iEPO346VDhbit2ibUKx+LRXQum5/gLbJ0Qlef8OJplH5/hFHKr8z6uxbgFRE53D98ZP0e7IYtxkJjBw==",
    )
}

#[test]
fn the_statement_of_a_component_is_pinned() -> TestResult {
    assert_pinned(
        &Statement::component(
            &ObjectId::from_bytes([0x11; 32]),
            r#"{"name":"hello","description":"größer"}"#,
        ),
        "7069746820636f6d706f6e656e74207369676e6174757265207631000b0000002f706974682f73746f72651111111111111111111111111111111111111111111111111111111111111111290000007b226e616d65223a2268656c6c6f222c226465736372697074696f6e223a226772c3b6c39f6572227d",
        "test-1:XWnap8cdryF4l+tMaJC/CWFtr4PW2cRVHdijOawBejkK8WEVCHVCCfe3puAPkGaOFvJlXXQI7TYrKNM1qAWWDw==",
    )
}

#[test]
fn each_fact_of_an_object_is_covered() -> TestResult {
    let plain = info("hello", directory(), &[1, 2])?;
    let signature = key()?.sign(&Statement::object(&plain));
    let changed = [
        PathInfo {
            path: path("hellp")?,
            ..plain.clone()
        },
        PathInfo {
            id: ObjectId::from_bytes([0x12; 32]),
            ..plain.clone()
        },
        PathInfo {
            root: Node::File {
                blob: BlobId::from_bytes([0x22; 32]),
                size: 1000,
                executable: false,
            },
            ..plain.clone()
        },
        PathInfo {
            size_bytes: 1001,
            ..plain.clone()
        },
        PathInfo {
            nodes: 14,
            ..plain.clone()
        },
        PathInfo {
            self_reference: false,
            ..plain.clone()
        },
        PathInfo {
            references: plain.references[..1].to_vec(),
            ..plain.clone()
        },
        PathInfo {
            references: Vec::new(),
            ..plain.clone()
        },
    ];
    for info in changed {
        assert!(
            !key()?
                .public()
                .verifies(&Statement::object(&info), &signature),
            "{info:?}"
        );
    }
    let elsewhere = PathInfo {
        registered: 6,
        ..plain
    };
    assert!(
        key()?
            .public()
            .verifies(&Statement::object(&elsewhere), &signature)
    );
    Ok(())
}

#[test]
fn each_fact_of_a_realisation_is_covered() -> TestResult {
    let plain = realisation()?;
    let signature = key()?.sign(&Statement::realisation(&plain));
    let changed = [
        Realisation {
            resolved: ResolvedDigest::from_bytes([0x56; 32]),
            ..plain.clone()
        },
        Realisation {
            output: "out".to_owned(),
            ..plain.clone()
        },
        Realisation {
            object: ObjectId::from_bytes([0x12; 32]),
            ..plain.clone()
        },
        Realisation {
            sandbox: "no-proc".to_owned(),
            ..plain.clone()
        },
        Realisation {
            built_at: 1_700_000_001,
            ..plain.clone()
        },
        Realisation {
            duration_ms: 1235,
            ..plain.clone()
        },
    ];
    for realisation in changed {
        assert!(
            !key()?
                .public()
                .verifies(&Statement::realisation(&realisation), &signature),
            "{realisation:?}"
        );
    }
    Ok(())
}

#[test]
fn no_changed_signature_verifies() -> TestResult {
    let statement = Statement::realisation(&realisation()?);
    let good = key()?.sign(&statement);
    for bit in 0..512 {
        let mut bytes = *good.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = Signature::from_bytes(good.name().clone(), bytes);
        assert!(!key()?.public().verifies(&statement, &changed), "bit {bit}");
    }
    // S and S + L satisfy the same equation; only the smaller one is a signature (RFC 8032, section 5.1.7).
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = *good.as_bytes();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    let malleable = Signature::from_bytes(good.name().clone(), bytes);
    assert!(!key()?.public().verifies(&statement, &malleable));
    Ok(())
}
