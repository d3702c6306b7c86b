//! Which of its store paths an image really has, as this store has them.

use std::collections::{BTreeMap, BTreeSet};

use store::{LocalStore, PathInfo, StorePath};

use super::{Accounting, ByteCode, ByteFinding, ByteOrigin, BytesError, account::account_one};
use crate::{
    existing::{BillPackage, ExistingImage},
    oci::Digest,
};

/// What came of comparing an image with a store.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// The records of the store paths of which all that lies in the store lies in the image, byte for byte, and nothing else; ascending by path.
    pub same: Vec<PathInfo>,
    /// What in the image is not what it should be.
    pub damage: Vec<ByteFinding>,
}

/// Compares what a bill says is in the image with this manifest with what `store` has by the same digests. Reads all layers, or nothing where the store has none.
///
/// Packages of a distribution, which lie at the root of an image, are never among the same: nothing there tells what one of them lacks.
pub fn compare(
    image: &ExistingImage<'_>,
    manifest: Digest,
    bill: &[BillPackage],
    store: &LocalStore,
) -> Result<Compared, BytesError> {
    let mut known = BTreeMap::new();
    for package in bill {
        let info = store.path_info(&package.path)?;
        let info = info.filter(|info| info.id == package.id);
        known.extend(info.map(|info| (package.path.clone(), info)));
    }
    let documents = image.documents(None)?;
    let mut manifests = documents.manifests.iter();
    let one = manifests.find(|one| one.entry.digest == manifest);
    let (Some(one), false) = (one, known.is_empty()) else {
        return Ok(Compared::default());
    };
    let allowed = BTreeSet::new();
    let account = account_one(image, one, Some(store), &allowed)?;
    known.retain(|path, info| is_whole(&account, path, info.nodes));
    let damage = account.findings.into_iter();
    Ok(Compared {
        same: known.into_values().collect(),
        damage: damage.filter(|one| one.code == ByteCode::B101).collect(),
    })
}

/// Whether a store path is in the image with all its entries, and nothing is wrong with any of them or with a layer that has some.
fn is_whole(account: &Accounting, path: &StorePath, nodes: u64) -> bool {
    let place = path.to_logical();
    let place = place.trim_start_matches('/');
    let is_of = |found: &str| {
        let rest = found.trim_start_matches('/').strip_prefix(place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let origin = ByteOrigin::Object(path.clone());
    let of_it = |layer: &Digest| {
        let mut layers = account.layers.iter().filter(|one| one.digest == *layer);
        layers.any(|one| one.shares.iter().any(|share| share.origin == origin))
    };
    let mut findings = account.findings.iter();
    let is_wrong =
        |one: &ByteFinding| is_of(&one.path) || (one.path.is_empty() && of_it(&one.layer));
    // An image and one that it lies on may both have it.
    let shares = account.layers.iter().flat_map(|layer| &layer.shares);
    let mut shares = shares.filter(|share| share.origin == origin).peekable();
    let is_there = shares.peek().is_some();
    is_there && shares.all(|share| share.entries == nodes) && !findings.any(is_wrong)
}
