//! What is in the layers of one image, and whether all of it belongs there.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use store::{ObjectId, StorePath};

use super::objects::FoundObject;
use crate::{
    base::BaseTree,
    existing::{BillPackage, clean, listed_files, parse_bill, split},
    layer::{Below, Member, Originals},
    oci::DigestWriter,
    rootfs::{is_bill, is_generated},
};

/// Where store objects lie in an image.
const STORE: &[u8] = b"pith/store";
/// A bill may be as long as this.
const MAX_BILL_BYTES: u64 = 64 << 20;

/// Files of an image that neither lie in a store object nor are always made.
#[derive(Debug, Default)]
pub(super) struct Contents {
    objects: BTreeMap<StorePath, FoundObject>,
    /// Everything that lies elsewhere.
    others: BTreeMap<Vec<u8>, Other>,
    /// Everything but directories in layers of somebody else above these.
    foreign: BTreeSet<Vec<u8>>,
    /// The last one.
    bill: Option<Vec<u8>>,
    /// What was replaced on the way into the image.
    originals: Option<Originals>,
    pub(super) below: Below,
    /// The files of the base, where there is one that can be read.
    pub(super) base: Option<BaseTree>,
    /// Whether these are the layers of an image that the image lies on.
    pub(super) is_of_base: bool,
    /// The store paths at which there is something in lower layers.
    pub(super) there: BTreeSet<StorePath>,
}

/// What lies in no store object.
#[derive(Debug)]
struct Other {
    flag: u8,
    mode: u64,
    /// The target of a link.
    target: Vec<u8>,
    /// The SHA-256 of the contents of a file, in hexadecimal digits.
    sha256: Option<String>,
}

impl Other {
    /// Whether it is a file that nobody runs, as all are that an image has by itself.
    const fn is_plain(&self) -> bool {
        self.flag == b'0' && self.mode & 0o7111 == 0
    }

    /// Whether it is a file with these contents, and nobody else when it runs.
    fn is_file(&self, sha256: &str) -> bool {
        self.sha256.as_deref() == Some(sha256) && self.mode & 0o7000 == 0
    }
}

/// What came of looking at all of it.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// How many store objects are what their paths say.
    pub(super) objects: usize,
    /// How many files lie at the root that may be those of packages whose objects are not in the image as such.
    pub(super) unattributed: u64,
    /// What is wrong: the place and the problem.
    pub(super) problems: Vec<(String, String)>,
}

impl Contents {
    /// Nothing yet; `originals` are the digests that were replaced.
    pub(super) fn new(originals: Option<Originals>, below: Below) -> Self {
        Self {
            originals,
            below,
            ..Self::default()
        }
    }

    /// Returns the store paths at which there is something, here or in lower layers.
    pub(super) fn store_paths(&self) -> BTreeSet<StorePath> {
        self.there
            .iter()
            .chain(self.objects.keys())
            .cloned()
            .collect()
    }

    /// Takes one entry of a layer. Returns what is wrong with it.
    pub(super) fn take(
        &mut self,
        member: &Member,
        contents: &mut dyn Read,
    ) -> io::Result<Option<String>> {
        let Some(originals) = self.originals.take() else {
            return self.take_original(member, contents);
        };
        let mut member = member.clone();
        originals.restore(&mut member.path);
        originals.restore(&mut member.target);
        let result = self.take_original(&member, &mut originals.reader(contents));
        self.originals = Some(originals);
        result
    }

    fn take_original(
        &mut self,
        member: &Member,
        contents: &mut dyn Read,
    ) -> io::Result<Option<String>> {
        let path = member.path.strip_suffix(b"/").unwrap_or(&member.path);
        if matches!(path, b"pith" | b"pith/store") {
            let is_directory = member.flag == b'5';
            return Ok((!is_directory).then(|| "is no directory".to_owned()));
        }
        if let Some(below) = path
            .strip_prefix(STORE)
            .and_then(|path| path.strip_prefix(b"/"))
        {
            let slash = below.iter().position(|byte| *byte == b'/');
            let (name, rest) = below.split_at(slash.unwrap_or(below.len()));
            let name = std::str::from_utf8(name).ok();
            let Some(object) = name.and_then(|name| name.parse::<StorePath>().ok()) else {
                return Ok(Some("is not at a store path".to_owned()));
            };
            let below = rest.strip_prefix(b"/").unwrap_or(rest);
            let found = self.objects.entry(object.clone()).or_default();
            return found.take(&object, below, member, contents);
        }
        let mut sha256 = None;
        if is_bill(path) && member.flag == b'0' {
            let mut bytes = Vec::new();
            contents.take(MAX_BILL_BYTES).read_to_end(&mut bytes)?;
            self.bill = Some(bytes);
        } else if member.flag == b'0' {
            let mut hasher = DigestWriter::default();
            io::copy(contents, &mut hasher)?;
            sha256 = Some(hasher.finish().to_hex());
        }
        let other = Other {
            flag: member.flag,
            mode: member.mode,
            target: member.target.clone(),
            sha256,
        };
        self.others.insert(path.to_vec(), other);
        Ok(None)
    }

    /// Takes one entry of a layer that somebody else put on top.
    pub(super) fn take_foreign(&mut self, member: &Member) {
        if member.flag != b'5' {
            self.foreign.insert(clean(&member.path));
        }
    }

    /// Looks at everything once all layers were taken. `allowed` are files and directories that are known to belong to the image, without a slash first.
    pub(super) fn judge(&self, allowed: &BTreeSet<Vec<u8>>) -> Judgement {
        let mut judgement = Judgement::default();
        self.judge_foreign(allowed, &mut judgement);
        let Some(bill) = &self.bill else {
            let place = "usr/share/sbom".to_owned();
            let problem = "there is no bill of materials".to_owned();
            judgement.problems.push((place, problem));
            return judgement;
        };
        let understood = parse_bill(bill).and_then(|known| Ok((known, listed_files(bill)?)));
        let (bill, asked) = match understood {
            Ok(understood) => understood,
            Err(error) => {
                let place = "usr/share/sbom".to_owned();
                let problem = format!("the bill of materials cannot be understood: {error}");
                judgement.problems.push((place, problem));
                return judgement;
            }
        };
        let bill: BTreeMap<&StorePath, &BillPackage> = bill
            .iter()
            .map(|package| (&package.path, package))
            .collect();
        for (path, object) in &self.objects {
            if self.is_of_base && !bill.contains_key(path) {
                // Which digests were replaced there, only the image below could say.
                continue;
            }
            match judge_object(path, object, &bill) {
                None => judgement.objects += 1,
                Some(problem) => judgement.problems.push((path.to_logical(), problem)),
            }
        }
        self.judge_bills(allowed, &mut judgement);
        self.judge_missing(&bill, &mut judgement);
        let originals = self.originals.iter().flat_map(Originals::paths);
        for path in originals.filter(|path| !self.objects.contains_key(*path)) {
            let problem = "its digest is said to be replaced, and it is not in the image";
            judgement
                .problems
                .push((path.to_logical(), problem.to_owned()));
        }
        let asked = self.placed(asked);
        for path in asked.keys().filter(|path| !self.others.contains_key(*path)) {
            let place = String::from_utf8_lossy(path).into_owned();
            let problem = "is in the bill of materials, and not in the image".to_owned();
            judgement.problems.push((place, problem));
        }
        // Packages of a distribution lie at the root, and not all of what they were is there.
        let is_complete = bill.keys().all(|path| self.has(path));
        for (path, other) in &self.others {
            if is_allowed(path, allowed) {
                continue;
            }
            if let Some(sha256) = asked.get(path) {
                if !other.is_file(sha256) {
                    let place = String::from_utf8_lossy(path).into_owned();
                    let problem = "is another file than the one in the bill of materials";
                    judgement.problems.push((place, problem.to_owned()));
                }
                continue;
            }
            if is_bill(path) || (self.is_generated(path) && other.is_plain()) {
                continue;
            }
            let problem = match other.flag {
                b'5' => continue,
                b'2' if self.leads_somewhere(path, &other.target) => continue,
                b'2' => "leads to nothing that is in the image",
                _ => "belongs to no store path, and no image has such a file by itself",
            };
            if is_complete {
                let place = String::from_utf8_lossy(path).into_owned();
                judgement.problems.push((place, problem.to_owned()));
            } else {
                judgement.unattributed += 1;
            }
        }
        judgement
    }

    /// Whether there is something at a store path, here or in lower layers.
    fn has(&self, path: &StorePath) -> bool {
        self.objects.contains_key(path) || self.there.contains(path)
    }

    /// Puts the paths that a specification names to where a base leads.
    fn placed(&self, asked: BTreeMap<Vec<u8>, String>) -> BTreeMap<Vec<u8>, String> {
        match &self.base {
            Some(base) => base.placed(asked),
            None => asked,
        }
    }

    /// Whether an image has such a file by itself, on this base.
    fn is_generated(&self, path: &[u8]) -> bool {
        let base = self.base.as_ref();
        let on_base = base.is_some_and(|base| base.generated_at(path).is_some());
        on_base || is_generated(path)
    }

    /// An object of an image on a base is in the image's own layers or in those below. Packages of a distribution, of which nothing is at a store path, lie on no base.
    fn judge_missing(&self, bill: &BTreeMap<&StorePath, &BillPackage>, judgement: &mut Judgement) {
        if self.below == Below::Nothing || self.is_of_base {
            return;
        }
        let missing = bill.keys().filter(|path| !self.has(path));
        judgement.problems.extend(missing.map(|path| {
            let problem = "it is in the bill of materials, and neither in the image's own layers nor in those of its base";
            (path.to_logical(), problem.to_owned())
        }));
    }

    /// What somebody else put on top is no part of any package, whatever it is.
    fn judge_foreign(&self, allowed: &BTreeSet<Vec<u8>>, judgement: &mut Judgement) {
        let foreign = self.foreign.iter();
        for path in foreign.filter(|path| !is_allowed(path, allowed)) {
            let (_, name) = split(path);
            let problem = match name.starts_with(b".wh.") {
                true => "deletes something from below, in a layer that pith did not make",
                false => "belongs to no store path: it is in a layer that pith did not make",
            };
            let place = String::from_utf8_lossy(path).into_owned();
            judgement.problems.push((place, problem.to_owned()));
        }
    }

    /// An image has one bill, a file that nobody runs. Which of several is the one that it was made with, nothing tells.
    fn judge_bills(&self, allowed: &BTreeSet<Vec<u8>>, judgement: &mut Judgement) {
        let bills = self.others.iter();
        let bills: Vec<_> = bills
            .filter(|(path, _)| is_bill(path) && !is_allowed(path, allowed))
            .collect();
        for (path, other) in &bills {
            let problem = if !other.is_plain() {
                "is no plain file, and so no bill of materials"
            } else if bills.len() > 1 {
                "is one of several bills of materials, and an image has one by itself"
            } else {
                continue;
            };
            let place = String::from_utf8_lossy(path).into_owned();
            judgement.problems.push((place, problem.to_owned()));
        }
    }

    /// Whether a link leads to a store object, or to something else that is there.
    fn leads_somewhere(&self, path: &[u8], target: &[u8]) -> bool {
        let mut parts: Vec<&[u8]> = Vec::new();
        let directory = path.iter().rposition(|byte| *byte == b'/');
        if !target.starts_with(b"/") {
            let directory = &path[..directory.unwrap_or(0)];
            parts.extend(directory.split(|byte| *byte == b'/'));
        }
        for part in target.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.retain(|part| !part.is_empty());
        if let [b"pith", b"store", name, ..] = parts.as_slice() {
            let name = std::str::from_utf8(name).ok();
            let object = name.and_then(|name| name.parse::<StorePath>().ok());
            return object.is_some_and(|object| self.has(&object));
        }
        self.below == Below::Base || self.others.contains_key(&parts.join(&b'/'))
    }
}

fn is_allowed(path: &[u8], allowed: &BTreeSet<Vec<u8>>) -> bool {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let mut above = ends.map(|(end, _)| &path[..end]).chain([path]);
    above.any(|path| allowed.contains(path))
}

/// Returns what is wrong with what lies at a store path.
fn judge_object(
    path: &StorePath,
    object: &FoundObject,
    bill: &BTreeMap<&StorePath, &BillPackage>,
) -> Option<String> {
    let Some(package) = bill.get(path) else {
        return Some("it is not in the bill of materials".to_owned());
    };
    let known = |path: &StorePath| bill.get(path).map(|package| package.id);
    let references: Option<Vec<ObjectId>> = package.references.iter().map(known).collect();
    match object.id(path, &references.unwrap_or_default()) {
        Ok(id) if id.path_digest() == *path.digest() && id == package.id => None,
        Ok(id) => Some(format!(
            "its contents are not those that its name is the digest of\n  expected: {}\n  found:    {}",
            path.digest(),
            id.path_digest()
        )),
        Err(error) => Some(format!("it is no store object: {error}")),
    }
}
