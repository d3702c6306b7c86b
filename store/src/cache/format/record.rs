//! `o/…`: what is known about one object, and who says so.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{FormatError, MAX_RECORD, VERSION, json};
use crate::{
    id::{ObjectId, StorePath},
    info::{Component, PathInfo, Reference},
    tree::Node,
    trust::SignatureSet,
};

const WHAT: &str = "record";

/// The record of one object.
///
/// Invariant: the path shows the beginning of the id, here and in each reference; references ascend by path and never name the object itself; the sizes
/// are those of the root; the component's text is the JSON object that the parsed component comes from, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRecord {
    info: PathInfo,
    component_text: Option<String>,
    /// Who says that the facts but the component are true of the id.
    pub signatures: SignatureSet,
    /// Who says that the component is the object's, as it is written.
    pub component_signatures: SignatureSet,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u64,
    path: StorePath,
    id: ObjectId,
    root: String,
    references: Vec<Reference>,
    self_reference: bool,
    size_bytes: u64,
    nodes: u64,
    // Without this a key that is missing would be `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    component: Option<Box<RawValue>>,
    component_signatures: SignatureSet,
    signatures: SignatureSet,
}

impl ObjectRecord {
    /// Makes the record of an object, without signatures. Fails when the facts contradict each other, which the store's own never do.
    pub fn from_path_info(info: &PathInfo) -> Result<Self, FormatError> {
        let component_text = info
            .component
            .as_ref()
            .map(serde_json::to_string)
            .transpose()
            .map_err(|source| FormatError::Json { what: WHAT, source })?;
        let record = Self {
            info: PathInfo {
                registered: 0,
                ..info.clone()
            },
            component_text,
            signatures: SignatureSet::default(),
            component_signatures: SignatureSet::default(),
        };
        record.check()?;
        Ok(record)
    }

    /// Replaces the component by a text that others have signed, and its signatures by none.
    pub fn set_component_text(&mut self, text: &str) -> Result<(), FormatError> {
        self.info.component = Some(parse_component(text)?);
        self.component_text = Some(text.to_owned());
        self.component_signatures = SignatureSet::default();
        Ok(())
    }

    /// Returns the facts; `registered` is 0, since a cache does not know when the object will be registered here.
    #[must_use]
    pub const fn info(&self) -> &PathInfo {
        &self.info
    }

    /// Returns the JSON text of the component exactly as it stands in the record: what is signed.
    #[must_use]
    pub fn component_text(&self) -> Option<&str> {
        self.component_text.as_deref()
    }

    /// Returns the facts as the local store keeps them, registered at this second.
    #[must_use]
    pub fn into_path_info(self, registered: u64) -> PathInfo {
        PathInfo {
            registered,
            ..self.info
        }
    }

    /// Parses a record. That the object really has the id is known only when its bytes are there.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let wire: Wire = json::parse(WHAT, bytes, MAX_RECORD)?;
        let root = STANDARD
            .decode(&wire.root)
            .map_err(|_| malformed("its root is base64"))?;
        let component_text = wire.component.map(|text| text.get().to_owned());
        let record = Self {
            info: PathInfo {
                path: wire.path,
                id: wire.id,
                root: Node::decode(&root).map_err(FormatError::Tree)?,
                references: wire.references,
                self_reference: wire.self_reference,
                size_bytes: wire.size_bytes,
                nodes: wire.nodes,
                registered: 0,
                component: component_text.as_deref().map(parse_component).transpose()?,
            },
            component_text,
            signatures: wire.signatures,
            component_signatures: wire.component_signatures,
        };
        record.check()?;
        Ok(record)
    }

    /// Prints the record on one line that ends.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let json = |source| FormatError::Json { what: WHAT, source };
        let component = self.component_text.clone().map(RawValue::from_string);
        let wire = Wire {
            version: VERSION,
            path: self.info.path.clone(),
            id: self.info.id,
            root: STANDARD.encode(self.info.root.encode()),
            references: self.info.references.clone(),
            self_reference: self.info.self_reference,
            size_bytes: self.info.size_bytes,
            nodes: self.info.nodes,
            component: component.transpose().map_err(json)?,
            component_signatures: self.component_signatures.clone(),
            signatures: self.signatures.clone(),
        };
        json::print(WHAT, &wire, MAX_RECORD)
    }

    /// Adds the signatures of another record of the same object. Tells whether anything changed.
    ///
    /// Where the components are written differently, the one here stays, unless nobody signed it and somebody signed the other: signatures are never thrown
    /// away. Fails when the records disagree about anything else, the places where references were found apart.
    pub fn merge(&mut self, other: &Self) -> Result<bool, FormatError> {
        if self.facts() != other.facts() {
            return Err(FormatError::Conflict {
                what: WHAT,
                subject: self.info.path.to_string(),
            });
        }
        let mut is_changed = self.signatures.merge(&other.signatures);
        if self.component_text == other.component_text {
            is_changed |= self.component_signatures.merge(&other.component_signatures);
        } else if self.component_signatures.is_empty()
            && (self.component_text.is_none() || !other.component_signatures.is_empty())
        {
            self.info.component.clone_from(&other.info.component);
            self.component_text.clone_from(&other.component_text);
            self.component_signatures
                .clone_from(&other.component_signatures);
            is_changed = true;
        }
        Ok(is_changed)
    }

    /// What the id and the signatures of an object speak of.
    fn facts(&self) -> (&StorePath, &ObjectId, &Node, BTreeSet<&ObjectId>, bool) {
        (
            &self.info.path,
            &self.info.id,
            &self.info.root,
            self.info.references.iter().map(|one| &one.id).collect(),
            self.info.self_reference,
        )
    }

    fn check(&self) -> Result<(), FormatError> {
        let info = &self.info;
        let references = &info.references;
        let shows_id = |path: &StorePath, id: &ObjectId| id.path_digest() == *path.digest();
        if !shows_id(&info.path, &info.id) {
            return Err(malformed("its path begins as its id does"));
        }
        if !references.iter().all(|one| shows_id(&one.path, &one.id)) {
            return Err(malformed(
                "the path of each reference begins as its id does",
            ));
        }
        if !references.is_sorted_by(|a, b| a.path < b.path) {
            return Err(malformed("its references ascend by path"));
        }
        if references.iter().any(|one| one.path == info.path) {
            return Err(malformed("its references do not name itself"));
        }
        let totals = info.root.totals().map_err(FormatError::Tree)?;
        if (totals.size_bytes, totals.nodes) != (info.size_bytes, info.nodes) {
            return Err(malformed("its sizes are those of its root"));
        }
        Ok(())
    }
}

const fn malformed(rule: &'static str) -> FormatError {
    FormatError::Malformed { what: WHAT, rule }
}

fn parse_component(text: &str) -> Result<Component, FormatError> {
    // A text of several lines would make several of one record in a closure bundle.
    if !text.starts_with('{') || !text.ends_with('}') || text.contains(['\n', '\r']) {
        return Err(malformed("its component is a JSON object on one line"));
    }
    serde_json::from_str(text).map_err(|source| FormatError::Json { what: WHAT, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{BlobId, StoreName},
        testing::{arbitrary_node, arbitrary_object_id, arbitrary_store_name},
        trust::{SecretKey, Statement},
    };
    use proptest::prelude::*;

    fn path(id: ObjectId, name: &StoreName) -> StorePath {
        StorePath::new(id.path_digest(), name.clone())
    }

    prop_compose! {
        fn arbitrary_component()(name in ".{0,9}", version in prop::option::of("[0-9.]{1,5}"), maintainers in prop::collection::vec(".{0,5}", 0..3)) -> Component {
            Component { name, version, maintainers, ..Component::default() }
        }
    }

    prop_compose! {
        fn arbitrary_info()(
            id in arbitrary_object_id(),
            name in arbitrary_store_name(),
            root in arbitrary_node(),
            references in prop::collection::btree_map(arbitrary_object_id(), (arbitrary_store_name(), ".{0,9}", any::<u64>()), 0..4),
            self_reference: bool,
            component in prop::option::of(arbitrary_component()),
        ) -> PathInfo {
            let totals = root.totals().unwrap();
            let references = references.into_iter().map(|(id, (name, file, offset))| Reference { path: path(id, &name), id, file, offset }).collect();
            PathInfo { path: path(id, &name), id, root, references, self_reference, size_bytes: totals.size_bytes, nodes: totals.nodes, registered: 7, component }
        }
    }

    fn signed(mut record: ObjectRecord, seeds: &[u8]) -> ObjectRecord {
        for seed in seeds {
            let key = SecretKey::from_seed(format!("k{}", seed % 3).parse().unwrap(), &[*seed; 32]);
            record
                .signatures
                .insert(key.sign(&Statement::object(&record.info)));
            if let Some(text) = &record.component_text {
                let statement = Statement::component(&record.info.id, text);
                record.component_signatures.insert(key.sign(&statement));
            }
        }
        record
    }

    fn arbitrary_record() -> impl Strategy<Value = ObjectRecord> {
        (arbitrary_info(), prop::collection::vec(0..9u8, 0..3))
            .prop_map(|(info, seeds)| signed(ObjectRecord::from_path_info(&info).unwrap(), &seeds))
    }

    fn example() -> ObjectRecord {
        let id = ObjectId::from_bytes([1; 32]);
        let other = ObjectId::from_bytes([2; 32]);
        ObjectRecord::from_path_info(&PathInfo {
            path: path(id, &"a".parse().unwrap()),
            id,
            root: Node::File {
                blob: BlobId::from_bytes([3; 32]),
                size: 4,
                executable: false,
            },
            references: vec![Reference {
                path: path(other, &"b".parse().unwrap()),
                id: other,
                file: "x".to_owned(),
                offset: 5,
            }],
            self_reference: false,
            size_bytes: 4,
            nodes: 1,
            registered: 6,
            component: Some(Component {
                name: "a".to_owned(),
                ..Component::default()
            }),
        })
        .unwrap()
    }

    fn text(record: &ObjectRecord) -> String {
        String::from_utf8(record.encode().unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(record in arbitrary_record()) {
            let bytes = record.encode().unwrap();
            prop_assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(ObjectRecord::decode(&bytes).unwrap(), record);
        }

        #[test]
        fn facts_come_back_from_a_record(info in arbitrary_info()) {
            let record = ObjectRecord::from_path_info(&info).unwrap();
            prop_assert_eq!(record.into_path_info(7), info);
        }

        #[test]
        fn whatever_is_accepted_keeps_the_rules(record in arbitrary_record(), at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = record.encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(record) = ObjectRecord::decode(&bytes) {
                prop_assert!(record.check().is_ok());
                prop_assert_eq!(ObjectRecord::decode(&record.encode().unwrap()).unwrap(), record);
            }
        }

        #[test]
        fn merging_adds_all_signatures_and_repeats_nothing(info in arbitrary_info(), ours in prop::collection::vec(0..9u8, 0..4), theirs in prop::collection::vec(0..9u8, 0..4)) {
            let bare = ObjectRecord::from_path_info(&info).unwrap();
            let (ours, theirs, both) = (signed(bare.clone(), &ours), signed(bare.clone(), &theirs), signed(bare, &[ours, theirs].concat()));
            let mut merged = ours.clone();
            prop_assert_eq!(merged.merge(&theirs).unwrap(), both != ours);
            prop_assert_eq!(&merged, &both);
            prop_assert!(!merged.merge(&theirs).unwrap());
            let mut other_way = theirs;
            other_way.merge(&ours).unwrap();
            prop_assert_eq!(other_way, merged);
        }
    }

    #[test]
    fn the_text_of_a_component_is_kept_to_the_byte() {
        let written = r#"{ "later" : 1.50, "name":"\u0061" ,"license":null}"#;
        let with = text(&example()).replace(r#"{"name":"a"}"#, written);
        let record = ObjectRecord::decode(with.as_bytes()).unwrap();
        assert_eq!(record.component_text(), Some(written));
        assert_eq!(record.info().component.as_ref().unwrap().name, "a");
        assert_eq!(text(&record), with);
        let mut other = example();
        other.set_component_text(written).unwrap();
        assert_eq!(other, record);
    }

    #[test]
    fn records_that_lie_about_themselves_are_refused() {
        let good = text(&example());
        assert!(ObjectRecord::decode(good.as_bytes()).is_ok());
        let (own, other) = (ObjectId::from_bytes([1; 32]), ObjectId::from_bytes([2; 32]));
        let own_path = path(own, &"a".parse().unwrap()).to_string();
        let other_path = path(other, &"b".parse().unwrap()).to_string();
        for (from, to) in [
            // Of another id, or with a reference of another id.
            (own.to_hex(), ObjectId::from_bytes([9; 32]).to_hex()),
            (other.to_hex(), ObjectId::from_bytes([9; 32]).to_hex()),
            // A name that leaves the store.
            (own_path.clone(), own_path.replace("-a", "-../a")),
            (own_path.clone(), own_path.replace("-a", "-..")),
            (other_path.clone(), format!("/pith/store/{other_path}")),
            // Other sizes than the root has.
            ("\"size_bytes\":4".into(), "\"size_bytes\":5".into()),
            ("\"nodes\":1".into(), "\"nodes\":2".into()),
            ("\"nodes\":1".into(), "\"nodes\":-1".into()),
            ("\"nodes\":1".into(), "\"nodes\":1.0".into()),
            // Keys that are missing.
            (r#""component":{"name":"a"},"#.into(), String::new()),
            (r#""component_signatures":[],"#.into(), String::new()),
            (r#","signatures":[]"#.into(), String::new()),
            // Components that are none.
            (r#"{"name":"a"}"#.into(), "[\"a\"]".into()),
            (r#"{"name":"a"}"#.into(), "{}".into()),
            (r#"{"name":"a"}"#.into(), "{\"name\":\n\"a\"}".into()),
            // Signatures that are none.
            (
                r#""signatures":[]}"#.into(),
                r#""signatures":["a:b"]}"#.into(),
            ),
        ] {
            let bad = good.replacen(&from, &to, 1);
            assert_ne!(bad, good, "{from}");
            assert!(ObjectRecord::decode(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in [
            format!("{good}{good}"),
            format!("{good}x"),
            good[..good.len() - 2].to_owned(),
        ] {
            assert!(ObjectRecord::decode(bad.as_bytes()).is_err(), "{bad}");
        }
        let null = good.replace(r#"{"name":"a"}"#, "null");
        assert_eq!(
            ObjectRecord::decode(null.as_bytes())
                .unwrap()
                .component_text(),
            None
        );
    }

    #[test]
    fn references_out_of_order_twice_or_to_itself_are_refused() {
        let reference = |byte| {
            let id = ObjectId::from_bytes([byte; 32]);
            Reference {
                path: path(id, &"b".parse().unwrap()),
                id,
                file: String::new(),
                offset: 0,
            }
        };
        for references in [
            vec![reference(3), reference(2)],
            vec![reference(2), reference(2)],
        ] {
            let info = PathInfo {
                references,
                ..example().info
            };
            assert!(ObjectRecord::from_path_info(&info).is_err());
        }
        let mut info = example().info;
        info.references[0].path = info.path.clone();
        info.references[0].id = info.id;
        assert!(ObjectRecord::from_path_info(&info).is_err());
    }

    #[test]
    fn records_of_other_objects_do_not_merge() {
        let mut info = example().info;
        info.self_reference = true;
        let other = ObjectRecord::from_path_info(&info).unwrap();
        assert!(matches!(
            example().merge(&other),
            Err(FormatError::Conflict { .. })
        ));
    }

    #[test]
    fn a_signed_component_is_never_displaced() {
        let mut theirs = example();
        theirs.set_component_text(r#"{"name":"b"}"#).unwrap();
        let mut unsigned = example();
        assert!(!unsigned.merge(&theirs).unwrap());
        let theirs = signed(theirs, &[1]);
        let mut ours = signed(example(), &[2]);
        ours.merge(&theirs).unwrap();
        assert_eq!(ours.component_text(), example().component_text());
        assert_eq!(
            (ours.signatures.len(), ours.component_signatures.len()),
            (2, 1)
        );
        unsigned.merge(&theirs).unwrap();
        assert_eq!(unsigned.component_text(), theirs.component_text());
        assert_eq!(unsigned.component_signatures.len(), 1);
    }

    #[test]
    fn more_than_the_limit_is_refused_before_parsing() {
        let mut bytes = example().encode().unwrap();
        bytes.resize(MAX_RECORD + 1, b' ');
        assert!(matches!(
            ObjectRecord::decode(&bytes),
            Err(FormatError::TooLarge { .. })
        ));
    }
}
