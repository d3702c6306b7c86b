//! The seal over all that makes an object.

use super::ModuloNode;
use crate::id::{ObjectId, STORE_DIR, StoreName};

const CONTEXT: &str = "pith 2026-11 object v1";
const VERSION: u32 = 1;

/// All that an object's identity depends on.
#[derive(Debug, Clone)]
pub struct ObjectSeal<'a> {
    /// The name part of its store path.
    pub name: &'a StoreName,
    /// Its root, with its own digits taken out.
    pub root: &'a ModuloNode,
    /// The full ids of what it refers to, in any order; never its own.
    pub references: &'a [ObjectId],
}

/// Returns the identity of an object.
#[must_use]
pub fn seal(object: &ObjectSeal<'_>) -> ObjectId {
    let mut references = object.references.to_vec();
    references.sort_unstable();
    references.dedup();
    let mut bytes = Vec::with_capacity(512 + references.len() * 32);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(
        &u16::try_from(STORE_DIR.len())
            .expect("a short constant")
            .to_le_bytes(),
    );
    bytes.extend_from_slice(STORE_DIR.as_bytes());
    bytes.push(
        u8::try_from(object.name.as_str().len()).expect("`StoreName` holds at most 200 bytes"),
    );
    bytes.extend_from_slice(object.name.as_str().as_bytes());
    object.root.encode(b"", &mut bytes);
    let count = u32::try_from(references.len()).expect("fewer references than 2^32 fit in memory");
    bytes.extend_from_slice(&count.to_le_bytes());
    for id in &references {
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes.push(u8::from(object.root.has_self_reference()));
    ObjectId::from_bytes(blake3::derive_key(CONTEXT, &bytes))
}
