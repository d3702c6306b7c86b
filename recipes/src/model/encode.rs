//! Forms to bytes; the grammar is in `FORMAT.md`, shown at the top of the module `form`.
//!
//! Encoding never fails: what a [`Form`] can hold and the format cannot (sets out of order, two literal pieces in a row)
//! is brought into the canonical shape on the way.

use std::collections::BTreeMap;

use super::ContentDigest;
use super::form::{BuilderForm, Form, PieceForm, Reference};

/// The only version of the encoding.
pub(super) const VERSION: u8 = 1;

impl Form {
    /// Returns the canonical bytes of the form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.push(VERSION);
        put_text(&mut out, &self.name);
        put_list(&mut out, &self.outputs, |out, name| put_text(out, name));
        put_builder(&mut out, &self.builder);
        out
    }

    /// Returns the BLAKE3 `derive_key` digest of the canonical bytes.
    pub(super) fn digest(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.encode())
    }
}

fn put_builder(out: &mut Vec<u8>, builder: &BuilderForm) {
    match builder {
        BuilderForm::Deb { deb, drop, keep } => put_deb(out, deb, drop, keep),
        BuilderForm::Program {
            argv,
            env,
            platform,
            seed,
            inputs,
            forbidden,
            extra_references,
        } => {
            out.push(0);
            put_list(out, argv, |out, pieces| put_pieces(out, pieces));
            put_map(out, env, |out, pieces| put_pieces(out, pieces));
            put_text(out, platform);
            put_list(out, seed.as_slice(), put_reference);
            put_set(out, inputs);
            put_set(out, forbidden);
            put_set(out, extra_references);
        }
        BuilderForm::Fetch {
            urls,
            digest,
            executable,
        } => {
            out.push(1);
            put_list(out, urls, |out, url| put_text(out, url));
            out.push(match digest {
                ContentDigest::Sha256(_) => 0,
                ContentDigest::Blake3(_) => 1,
                ContentDigest::Sha512(_) => 2,
            });
            out.extend_from_slice(digest.as_bytes());
            out.push(u8::from(*executable));
        }
        BuilderForm::Content { digest } => {
            out.push(2);
            out.extend_from_slice(digest);
        }
        BuilderForm::Local {
            project,
            path,
            exclude,
            allow_secrets,
        } => {
            out.push(3);
            put_count(out, project.len());
            out.extend_from_slice(project);
            put_text(out, path);
            put_list(out, exclude, |out, pattern| put_text(out, pattern));
            put_list(out, allow_secrets, |out, pattern| put_text(out, pattern));
        }
        BuilderForm::DebTree {
            debs,
            links,
            drop,
            include,
        } => {
            out.push(4);
            put_list(out, debs, put_reference);
            put_map(out, links, |out, target| put_text(out, target));
            put_list(out, drop, |out, pattern| put_text(out, pattern));
            put_list(out, include, |out, pattern| put_text(out, pattern));
        }
        BuilderForm::DebSet {
            members,
            requested,
            release,
            tree,
            rules,
        } => {
            out.push(6);
            put_list(out, members, put_reference);
            put_texts(out, requested);
            put_text(out, release);
            out.push(u8::from(*tree));
            out.extend_from_slice(&rules.to_le_bytes());
        }
    }
}

fn put_deb(out: &mut Vec<u8>, deb: &Reference, drop: &[String], keep: &[String]) {
    out.push(5);
    put_reference(out, deb);
    put_texts(out, drop);
    put_texts(out, keep);
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_list(out, texts, |out, text| put_text(out, text));
}

fn put_pieces(out: &mut Vec<u8>, pieces: &[PieceForm]) {
    let mut canonical: Vec<PieceForm> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (canonical.last_mut(), piece) {
            (_, PieceForm::Literal(text)) if text.is_empty() => {}
            (Some(PieceForm::Literal(before)), PieceForm::Literal(text)) => before.push_str(text),
            _ => canonical.push(piece.clone()),
        }
    }
    put_list(out, &canonical, |out, piece| match piece {
        PieceForm::Literal(text) => {
            out.push(0);
            put_text(out, text);
        }
        PieceForm::Output(reference) => {
            out.push(1);
            put_reference(out, reference);
        }
    });
}

fn put_reference(out: &mut Vec<u8>, reference: &Reference) {
    out.extend_from_slice(&reference.digest);
    put_text(out, &reference.output);
}

fn put_set(out: &mut Vec<u8>, references: &[Reference]) {
    let mut sorted: Vec<&Reference> = references.iter().collect();
    sorted.sort();
    sorted.dedup();
    put_list(out, &sorted, |out, reference| put_reference(out, reference));
}

fn put_map<T>(out: &mut Vec<u8>, map: &BTreeMap<String, T>, mut put: impl FnMut(&mut Vec<u8>, &T)) {
    put_count(out, map.len());
    for (key, value) in map {
        put_text(out, key);
        put(out, value);
    }
}

fn put_list<T>(out: &mut Vec<u8>, list: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    put_count(out, list.len());
    for item in list {
        put(out, item);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count)
        .expect("the texts and lists of one recipe are below 4 GiB: its heap is bounded");
    out.extend_from_slice(&count.to_le_bytes());
}
