//! What a bill is made of, read from a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::Path,
};

use store::{
    LocalStore, StorePath,
    facts::{Facts, TextKind},
};

use super::{
    super::AttestError, Bill, BillInputs, BillOptions, Subject, files::read_files,
    license::license_references,
};
use crate::{
    audit::{Gathered, Part},
    rootfs::ROOT_DIRECTORY,
};

/// How much of a license's text is taken. The longest in SPDX's list has 50 kB.
const MAX_TEXT_BYTES: usize = 256 << 10;

impl Bill {
    /// Makes the bill of a closure: reads the texts of licenses without a name and, where no facts are recorded, all files. `gathered` is the closure of `requested`.
    ///
    /// Conclusions are those of `options`: [`BillOptions::conclude`] makes them. A fault is found by whoever writes it, or [`check`](Self::check).
    pub fn load(
        store: &LocalStore,
        mut gathered: Gathered,
        subject: &Subject,
        requested: &[StorePath],
        options: &BillOptions,
    ) -> Result<Self, AttestError> {
        let mut unobserved = BTreeSet::new();
        for part in &mut gathered.parts {
            if part.facts.is_none() {
                unobserved.insert(part.info.path.clone());
            }
            let facts = part.facts.get_or_insert_with(Facts::default);
            if facts.files.is_empty() {
                facts.files = read_files(&store.real_path(&part.info.path))?;
            }
        }
        let texts = load_texts(store, &gathered, options)?;
        let inputs = BillInputs {
            subject,
            requested,
            gathered: &gathered,
            unobserved: &unobserved,
            texts: &texts,
        };
        Ok(Self::new(&inputs, options))
    }
}

/// Returns a text for each license that SPDX has no name for. Packages that mean different texts by one name have all of them there.
fn load_texts(
    store: &LocalStore,
    gathered: &Gathered,
    options: &BillOptions,
) -> Result<BTreeMap<String, String>, AttestError> {
    let mut texts: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for part in gathered.parts.iter().chain(&gathered.linked) {
        let component = part.info.component.as_ref();
        let own = component.and_then(|of| of.license.as_deref());
        let of_others = component.iter().flat_map(|of| &of.contains);
        let of_others = of_others.filter_map(|one| one.license.as_deref());
        let concluded = options.concluded.get(&part.info.path).map(String::as_str);
        let expressions = own.into_iter().chain(of_others).chain(concluded);
        let names: BTreeSet<&str> = expressions.flat_map(license_references).collect();
        if names.is_empty() {
            continue;
        }
        let text = load_text(store, part)?;
        let owner = part.info.path.to_string();
        for name in names {
            let known = texts.entry(name.to_owned()).or_default();
            known.entry(text.clone()).or_default().push(owner.clone());
        }
    }
    let join = |texts: BTreeMap<String, Vec<String>>| match texts.len() {
        1 => texts.into_keys().collect(),
        _ => {
            let each = texts.into_iter();
            let each = each.map(|(text, owners)| format!("In {}:\n\n{text}", owners.join(", ")));
            each.collect::<Vec<_>>().join("\n\n")
        }
    };
    Ok(texts
        .into_iter()
        .map(|(name, texts)| (name, join(texts)))
        .collect())
}

/// Returns the license texts of one part: as observed, else the file in which the license was read, else where it is to be looked for.
fn load_text(store: &LocalStore, part: &Part) -> Result<String, AttestError> {
    let texts = part.facts.iter().flat_map(|facts| &facts.texts);
    let digests: BTreeSet<&str> = texts
        .filter(|text| text.kind == TextKind::License)
        .map(|text| text.sha256.as_str())
        .collect();
    let mut found = Vec::new();
    for digest in digests {
        if let Some(bytes) = part.load_text(store, digest)? {
            let text = String::from_utf8_lossy(&bytes);
            found.push(text.chars().take(MAX_TEXT_BYTES).collect());
        }
    }
    let component = part.info.component.as_ref();
    if found.is_empty()
        && let Some(place) = component.and_then(|of| of.license_evidence.as_deref())
    {
        let object = store.real_path(&part.info.path);
        let places = [object.join(ROOT_DIRECTORY).join(place), object.join(place)];
        found.extend(places.iter().find_map(|place| read_text(place)));
    }
    if found.is_empty() {
        found.push(format!("The text is in the sources of {}.", part.info.path));
    }
    Ok(found.join("\n\n"))
}

/// Reads a text that may not be there: a link to another package, a file that was left out.
fn read_text(place: &Path) -> Option<String> {
    if !place.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = File::open(place).ok()?;
    file.take(MAX_TEXT_BYTES as u64)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
