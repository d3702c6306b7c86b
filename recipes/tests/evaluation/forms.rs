//! The encoding of derivations: one form, one encoding, and nothing else is one.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use recipes::model::form::{BuilderForm, Form, PieceForm, Reference};
use recipes::model::{ContentDigest, DecodeError};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,3}", ".{0,8}"]
}

fn reference() -> impl Strategy<Value = Reference> {
    (any::<[u8; 32]>(), text()).prop_map(|(digest, output)| Reference { digest, output })
}

fn references() -> impl Strategy<Value = Vec<Reference>> {
    btree_set(reference(), 0..4).prop_map(|set| set.into_iter().collect())
}

/// Pieces in canonical shape: no empty literal, never two in a row.
fn pieces() -> impl Strategy<Value = Vec<PieceForm>> {
    vec((".{1,6}", reference()), 0..3).prop_flat_map(|pairs| {
        any::<(bool, bool)>().prop_map(move |(first, last)| {
            let pairs = pairs.iter().cloned();
            let mut pieces: Vec<PieceForm> = pairs
                .flat_map(|(literal, output)| {
                    [PieceForm::Literal(literal), PieceForm::Output(output)]
                })
                .collect();
            if first && !pieces.is_empty() {
                pieces.remove(0);
            }
            if last {
                pieces.pop();
            }
            pieces
        })
    })
}

fn program() -> impl Strategy<Value = BuilderForm> {
    let argv = vec(pieces(), 0..4);
    let env = btree_map(text(), pieces(), 0..4);
    let seed = proptest::option::of(reference());
    (
        argv,
        env,
        text(),
        seed,
        references(),
        references(),
        references(),
    )
        .prop_map(
            |(argv, env, platform, seed, inputs, forbidden, extra_references)| {
                BuilderForm::Program {
                    argv,
                    env,
                    platform,
                    seed,
                    inputs,
                    forbidden,
                    extra_references,
                }
            },
        )
}

fn content_digest() -> impl Strategy<Value = ContentDigest> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(ContentDigest::Sha256),
        any::<[u8; 32]>().prop_map(ContentDigest::Blake3),
        any::<[u8; 64]>().prop_map(ContentDigest::Sha512),
    ]
}

fn builder() -> impl Strategy<Value = BuilderForm> {
    let texts = || vec(text(), 0..4);
    prop_oneof![
        program(),
        (texts(), content_digest(), any::<bool>()).prop_map(|(urls, digest, executable)| {
            BuilderForm::Fetch {
                urls,
                digest,
                executable,
            }
        }),
        any::<[u8; 32]>().prop_map(|digest| BuilderForm::Content { digest }),
        (vec(any::<u8>(), 0..6), text(), texts(), texts()).prop_map(
            |(project, path, exclude, allow_secrets)| {
                BuilderForm::Local {
                    project,
                    path,
                    exclude,
                    allow_secrets,
                }
            }
        ),
        (
            vec(reference(), 0..4),
            btree_map(text(), text(), 0..3),
            texts(),
            texts()
        )
            .prop_map(|(debs, links, drop, include)| BuilderForm::DebTree {
                debs,
                links,
                drop,
                include
            }),
        (reference(), texts(), texts()).prop_map(|(deb, drop, keep)| BuilderForm::Deb {
            deb,
            drop,
            keep
        }),
        (
            vec(reference(), 0..4),
            texts(),
            text(),
            any::<bool>(),
            any::<u32>()
        )
            .prop_map(
                |(members, requested, release, tree, rules)| BuilderForm::DebSet {
                    members,
                    requested,
                    release,
                    tree,
                    rules
                }
            ),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    (text(), vec(text(), 0..3), builder()).prop_map(|(name, outputs, builder)| Form {
        name,
        outputs,
        builder,
    })
}

proptest! {
    #[test]
    fn decoding_is_the_inverse_of_encoding(form in form()) {
        prop_assert_eq!(Form::decode(&form.encode()), Ok(form));
    }

    #[test]
    fn distinct_forms_have_distinct_encodings(a in form(), b in form()) {
        prop_assert_eq!(a == b, a.encode() == b.encode());
    }

    #[test]
    fn changed_byte_is_refused_or_means_something_else(form in form(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = form.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(other) = Form::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn truncated_encoding_is_refused(form in form(), at in any::<prop::sample::Index>()) {
        let bytes = form.encode();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(Form::decode(cut).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(form) = Form::decode(&bytes) {
            prop_assert_eq!(form.encode(), bytes);
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let form = Form {
        name: "a".into(),
        outputs: vec![],
        builder: BuilderForm::Content { digest: [0; 32] },
    };
    let mut bytes = form.encode();
    bytes.push(0);
    assert_eq!(
        Form::decode(&bytes),
        Err(DecodeError::TrailingBytes { count: 1 })
    );
}

#[test]
fn huge_count_takes_no_memory() {
    // Version, empty name, then four milliard outputs.
    let bytes = [1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(
        Form::decode(&bytes),
        Err(DecodeError::Truncated {
            what: "a count",
            offset: 9
        })
    );
}

#[test]
fn encoding_is_pinned() {
    let reference = Reference {
        digest: [7; 32],
        output: "out".into(),
    };
    let form = Form {
        name: "hello-1".into(),
        outputs: vec!["out".into()],
        builder: BuilderForm::Program {
            argv: vec![vec![
                PieceForm::Output(reference.clone()),
                PieceForm::Literal("/bin/sh".into()),
            ]],
            env: BTreeMap::from([("A".into(), vec![])]),
            platform: "x86_64-linux".into(),
            seed: None,
            inputs: vec![reference],
            forbidden: vec![],
            extra_references: vec![],
        },
    };
    // Golden: a change of it is a new version of the format.
    let digest = blake3::hash(&form.encode()).to_hex();
    assert_eq!(
        digest.as_str(),
        "d70f176cc28b6c0411e274bb5f91f36a808bfe55ff8c034f8008c05650eaa5d6"
    );
}
