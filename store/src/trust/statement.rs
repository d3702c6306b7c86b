//! The bytes that are signed: all facts that a reader relies on, and no location.

use crate::{
    id::{ObjectId, STORE_DIR},
    info::{PathInfo, Realisation},
    tree::encode_node,
};

const OBJECT: &[u8] = b"pith object signature v1\0";
const REALISATION: &[u8] = b"pith realisation signature v1\0";
const COMPONENT: &[u8] = b"pith component signature v1\0";

/// Something that can be signed, as its canonical bytes. Each kind begins with a mark of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement(Vec<u8>);

impl Statement {
    /// States what an object is: that its name, root, sizes and references belong to its id. Says nothing of its component or its time.
    #[must_use]
    pub fn object(info: &PathInfo) -> Self {
        let mut statement = Self::new(OBJECT);
        statement.text(info.path.name().as_str());
        statement.0.extend_from_slice(info.id.as_bytes());
        let mut root = Vec::with_capacity(64);
        encode_node(&info.root, &mut root);
        statement.bytes(&root);
        statement.number(info.size_bytes);
        statement.number(info.nodes);
        statement.0.push(u8::from(info.self_reference));
        let mut references: Vec<_> = info
            .references
            .iter()
            .map(|reference| reference.id)
            .collect();
        references.sort_unstable();
        references.dedup();
        statement.length(references.len());
        for reference in &references {
            statement.0.extend_from_slice(reference.as_bytes());
        }
        statement
    }

    /// States where an object comes from: the JSON text of its component, exactly as it stands in the record.
    #[must_use]
    pub fn component(object: &ObjectId, json: &str) -> Self {
        let mut statement = Self::new(COMPONENT);
        statement.0.extend_from_slice(object.as_bytes());
        statement.text(json);
        statement
    }

    /// States that a derivation's output was built to an object, how, when, and in what time.
    #[must_use]
    pub fn realisation(realisation: &Realisation) -> Self {
        let mut statement = Self::new(REALISATION);
        statement
            .0
            .extend_from_slice(realisation.resolved.as_bytes());
        statement.text(&realisation.output);
        statement.0.extend_from_slice(realisation.object.as_bytes());
        statement.text(&realisation.sandbox);
        statement.number(realisation.built_at);
        statement.number(realisation.duration_ms);
        statement
    }

    /// States what is in an envelope that other programs read: its "pre-authentication encoding". Source: DSSE v1.0.2, protocol.md.
    ///
    /// It begins as none of the above, whatever is in it.
    #[must_use]
    pub fn envelope(payload_type: &str, payload: &[u8]) -> Self {
        let head = format!(
            "DSSEv1 {} {payload_type} {} ",
            payload_type.len(),
            payload.len()
        );
        Self([head.as_bytes(), payload].concat())
    }

    /// States what a JSON object says that other programs sign as it is; `None` if the bytes begin otherwise than with `{`, which none of the above does.
    #[must_use]
    pub fn document(json: &[u8]) -> Option<Self> {
        json.starts_with(b"{").then(|| Self(json.to_vec()))
    }

    /// Returns the canonical bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn new(mark: &[u8]) -> Self {
        let mut statement = Self(Vec::with_capacity(256));
        statement.0.extend_from_slice(mark);
        statement.text(STORE_DIR);
        statement
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn length(&mut self, length: usize) {
        let length =
            u32::try_from(length).expect("records and what is in them are bounded below 2^32");
        self.0.extend_from_slice(&length.to_le_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_encoded_as_its_specification_shows() {
        // DSSE v1.0.2, protocol.md, "Test Vectors".
        let statement = Statement::envelope("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            statement.as_bytes(),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn a_document_is_never_what_a_statement_of_another_kind_is() {
        assert!(Statement::document(b"{}").is_some());
        let envelope = Statement::envelope("type", b"{}");
        let component = Statement::component(&ObjectId::from_bytes([0; 32]), "{}");
        for other in [envelope.as_bytes(), component.as_bytes(), b"", b" {}"] {
            assert_eq!(Statement::document(other), None);
        }
    }
}
