//! Entry by entry: where it comes from.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io::{self, Read},
    os::unix::ffi::OsStrExt as _,
};

use store::{LocalStore, ObjectId, StorePath};

use super::{
    ByteCode, ByteFinding, ByteOrigin, BytesError, Known, LayerAccount, Rule, Seen, Share, Stop,
    accounts::{are_accounts, are_extended, users_of},
    entry::{compare, is_file, is_plain},
    part::{Author, Part, Place, There},
    read_layer,
};
use crate::{
    base::{BaseEntry, BaseTree},
    existing::{
        AnyConfig, AnyManifest, BillPackage, Entry, ExistingError, ExistingImage, blob_name,
    },
    layer::{Compression, Dialect, Member, Originals, Stamp, TarError},
    oci::{Digest, annotation},
    rootfs::{is_bill, is_generated},
    validate::FoundObject,
};

/// Where store objects lie in an image, and what lies above them.
const STORE: &[u8] = b"pith/store";
const ABOVE_STORE: [&[u8]; 2] = [b"pith", STORE];
/// No file of accounts is longer.
const MAX_ACCOUNTS_BYTES: u64 = 1 << 20;
/// The bits that a directory has that everybody may write to.
const STICKY: u64 = 0o1777;

/// One image on its way to an account, or one that it lies on.
pub(super) struct Accounter<'a> {
    image: &'a ExistingImage<'a>,
    manifest: &'a AnyManifest,
    config: &'a AnyConfig,
    place: Place,
    /// The files of what lies below the layers that are looked into, where there is something.
    base: Option<BaseTree>,
    /// What is known of the layers below.
    there: There,
    allowed: &'a BTreeSet<Vec<u8>>,
    bill: BTreeMap<StorePath, BillPackage>,
    /// The files that the specification asks for, by where they lie: the SHA-256 of their contents.
    asked: BTreeMap<Vec<u8>, String>,
    known: Known,
    originals: Option<Originals>,
    /// Objects that the store does not have, with the layer that begins them.
    objects: BTreeMap<StorePath, (FoundObject, Digest)>,
    /// What lies in no object and is made by no rule for files: it is judged when all is known.
    pending: Vec<Pending>,
    /// Everything outside of store objects.
    others: BTreeSet<Vec<u8>>,
    /// The store paths at which there is something, each with how much and the layer that begins it.
    present: BTreeMap<StorePath, (u64, Digest)>,
    bills: u64,
    layers: Vec<LayerAccount>,
    shares: BTreeMap<ByteOrigin, (u64, u64)>,
    findings: Vec<ByteFinding>,
}

/// An entry outside of store objects.
struct Pending {
    layer: usize,
    offset: u64,
    member: Member,
    path: Vec<u8>,
    /// What is wrong with it if it is a file.
    problem: &'static str,
}

impl<'a> Accounter<'a> {
    /// Prepares to read the layers of `part`; `there` is what was found below them.
    pub(super) fn new(
        image: &'a ExistingImage<'a>,
        (manifest, config): (&'a AnyManifest, &'a AnyConfig),
        part: &Part,
        store: Option<&LocalStore>,
        allowed: &'a BTreeSet<Vec<u8>>,
        there: There,
    ) -> Result<Self, BytesError> {
        let known = match store {
            Some(store) => Known::load(store, &part.bill.packages)?,
            None => Known::default(),
        };
        // What an image says of digests is about its own layers.
        let slots = manifest.fact(Some(config), annotation::SLOTS);
        let slots = slots.filter(|_| part.place == Place::Top);
        let originals = slots.and_then(|slots| Originals::parse(slots));
        let base = match part.first_own() {
            Some(first) if first > 0 => Some(BaseTree::read(image, &manifest.layers[..first])?),
            _ => None,
        };
        let packages = part.bill.packages.iter().cloned();
        let asked = part.bill.files.clone();
        Ok(Self {
            image,
            manifest,
            config,
            place: part.place,
            there,
            allowed,
            bill: packages
                .map(|package| (package.path.clone(), package))
                .collect(),
            asked: match &base {
                Some(base) => base.placed(asked),
                None => asked,
            },
            base,
            known,
            originals,
            objects: BTreeMap::new(),
            pending: Vec::new(),
            others: BTreeSet::new(),
            present: BTreeMap::new(),
            bills: 0,
            layers: Vec::new(),
            shares: BTreeMap::new(),
            findings: Vec::new(),
        })
    }

    /// Reads the layers of `part`, and returns their accounts, what is wrong, and what is there now.
    pub(super) fn run(
        mut self,
        part: &Part,
    ) -> Result<(Vec<LayerAccount>, Vec<ByteFinding>, There), BytesError> {
        let manifest = self.manifest;
        self.others = std::mem::take(&mut self.there.others);
        for (index, author) in part.layers.clone().zip(&part.authors) {
            self.read(index, &manifest.layers[index], *author)?;
        }
        self.judge_pending(part.layers.start);
        self.there.objects.extend(self.present.keys().cloned());
        self.judge_objects();
        self.there.others = self.others;
        Ok((self.layers, self.findings, self.there))
    }

    fn read(&mut self, index: usize, layer: &Entry, author: Author) -> Result<(), BytesError> {
        let image = self.image;
        let name = blob_name(&layer.digest);
        let Some(compression) = Compression::from_media_type(&layer.media_type) else {
            return Err(ExistingError::LayerType {
                image: image.name().to_owned(),
                media_type: layer.media_type.clone(),
            }
            .into());
        };
        let blob = image.source.blob(layer)?;
        let blob = blob.ok_or_else(|| image.missing(&name))?;
        let dialect = match author {
            Author::Pith => Dialect::Ours,
            Author::Base | Author::Other => Dialect::Any,
        };
        let mut visit = |seen: &Seen<'_>, contents: &mut dyn Read| match author {
            Author::Base => {
                self.others.insert(clean(seen.path()));
                self.share(ByteOrigin::Base, seen.member);
                Ok(())
            }
            Author::Pith => self.take(index, layer.digest, seen, contents),
            Author::Other => {
                self.take_foreign(layer.digest, seen);
                Ok(())
            }
        };
        let sums = read_layer::<BytesError>(blob, compression, dialect, &mut visit)?;
        let sums = sums.map_err(|error| image.source.error(&name, error))?;
        for (offset, problem) in sums.problems {
            self.report(ByteCode::B101, layer.digest, offset, b"", problem);
        }
        let diff_id = self.config.rootfs.diff_ids.get(index).copied();
        let digests = [
            ("digest", sums.digest, Some(layer.digest)),
            ("diff id", sums.diff_id, diff_id),
        ];
        for (what, found, expected) in digests {
            if let (Some(found), Some(expected)) = (found, expected)
                && found != expected
            {
                let problem = format!("has the {what} {found}, and should have {expected}");
                self.report(ByteCode::B101, layer.digest, None, b"", problem);
            }
        }
        let shares = std::mem::take(&mut self.shares).into_iter();
        self.layers.push(LayerAccount {
            digest: layer.digest,
            size_bytes: sums.size_bytes,
            tar_bytes: sums.tar_bytes,
            header_bytes: sums.header_bytes,
            padding_bytes: sums.padding_bytes,
            end_bytes: sums.end_bytes,
            shares: shares
                .map(|(origin, (entries, bytes))| Share {
                    origin,
                    entries,
                    bytes,
                })
                .collect(),
        });
        Ok(())
    }

    /// Takes one entry of a layer that somebody else put on those of the image's own.
    fn take_foreign(&mut self, layer: Digest, seen: &Seen<'_>) {
        let path = clean(seen.path());
        let origin = if is_allowed(&path, self.allowed) {
            ByteOrigin::Rule(Rule::Asked)
        } else {
            if seen.member.flag != b'5' {
                let problem = "belongs to no store path: it is in a layer that pith did not make";
                self.report(ByteCode::B102, layer, Some(seen.offset), &path, problem);
            }
            ByteOrigin::Unknown
        };
        self.share(origin, seen.member);
    }

    /// Takes one entry of a layer of the image's own.
    fn take(
        &mut self,
        index: usize,
        layer: Digest,
        seen: &Seen<'_>,
        contents: &mut dyn Read,
    ) -> Result<(), Stop<BytesError>> {
        let mut member = seen.member.clone();
        let mut path = seen.path().to_vec();
        let originals = self.originals.take();
        if let Some(originals) = &originals {
            originals.restore(&mut path);
            originals.restore(&mut member.target);
        }
        member.path.clone_from(&path);
        let result = match &originals {
            Some(originals) => {
                let mut contents = originals.reader(contents);
                self.take_original(index, layer, seen.offset, member, path, &mut contents)
            }
            None => self.take_original(index, layer, seen.offset, member, path, contents),
        };
        self.originals = originals;
        result
    }

    fn take_original(
        &mut self,
        index: usize,
        layer: Digest,
        offset: u64,
        member: Member,
        path: Vec<u8>,
        contents: &mut dyn Read,
    ) -> Result<(), Stop<BytesError>> {
        let at = Some(offset);
        if member.flag == b'5' && !self.is_stamped(&path, &member) {
            let problem = "has a time or an owner that neither pith nor the base gives it";
            self.report(ByteCode::B101, layer, at, &path, problem);
        }
        if ABOVE_STORE.contains(&&path[..]) && member.flag == b'5' {
            self.share(ByteOrigin::Rule(Rule::StoreDirectories), &member);
            return Ok(());
        }
        if let Some((object, below)) = in_store(&path) {
            return self.take_of_object(layer, at, &member, (&object, below), contents);
        }
        self.others.insert(path.clone());
        let origin = if is_allowed(&path, self.allowed) {
            ByteOrigin::Rule(Rule::Asked)
        } else if let Some(sha256) = self.asked.get(&path) {
            if !is_file(&member, contents, sha256).map_err(TarError::Read)? {
                let problem = "is another file than the one in the bill of materials";
                self.report(ByteCode::B101, layer, at, &path, problem);
            }
            ByteOrigin::Rule(Rule::Asked)
        } else if let Some(file) = self.known.at_root(&path) {
            let (object, real) = (file.object.clone(), file.real.clone());
            let below = String::from_utf8_lossy(&file.below).into_owned();
            let problem = compare(&real, &member, contents)?;
            if let Some(problem) = problem {
                let problem = format!("{problem} `{below}` of {}", object.to_logical());
                self.report(ByteCode::B101, layer, at, &path, problem);
            }
            ByteOrigin::Object(object)
        } else if is_bill(&path) && is_plain(&member) {
            self.bills += 1;
            if self.bills > 1 {
                let problem = "is a second bill of materials";
                self.report(ByteCode::B102, layer, at, &path, problem);
            }
            ByteOrigin::Rule(Rule::Bill)
        } else {
            let generated = self.generated_at(&path);
            let problem = if generated && is_plain(&member) {
                if self.are_accounts(&path, contents)? {
                    self.share(ByteOrigin::Rule(Rule::Accounts), &member);
                    return Ok(());
                }
                "is not what the rule for it makes"
            } else {
                "belongs to no store path, and no rule makes it"
            };
            self.pending.push(Pending {
                layer: index,
                offset,
                member,
                path,
                problem,
            });
            return Ok(());
        };
        self.share(origin, &member);
        Ok(())
    }

    /// Whether a directory belongs to whom it does and is as old as pith writes it: as it is in a base, or as all are.
    fn is_stamped(&self, path: &[u8], member: &Member) -> bool {
        let known = self.base.as_ref().and_then(|base| base.get(path));
        let of_base = match known {
            Some(BaseEntry::Directory { stamp, .. }) => Some(stamp),
            _ => None,
        };
        member.stamp() == of_base.unwrap_or(Stamp::OURS)
    }

    fn generated_at(&self, path: &[u8]) -> bool {
        let base = self.base.as_ref();
        base.is_some_and(|base| base.generated_at(path).is_some()) || is_generated(path)
    }

    fn are_accounts(&self, path: &[u8], contents: &mut dyn Read) -> io::Result<bool> {
        let mut bytes = Vec::new();
        contents.take(MAX_ACCOUNTS_BYTES).read_to_end(&mut bytes)?;
        let base = self.base.as_ref();
        let path = base
            .and_then(|base| base.generated_at(path))
            .unwrap_or(path);
        // As whom an image below was run, only its list of users says.
        let users = match self.place {
            Place::Top => vec![self.config.config.user.clone()],
            Place::Below => users_of(&bytes),
        };
        Ok(users.iter().any(|user| {
            let of_base = base.is_some_and(|base| are_extended(path, &bytes, user, base));
            of_base || are_accounts(path, &bytes, user, self.known.sets())
        }))
    }

    fn take_of_object(
        &mut self,
        layer: Digest,
        at: Option<u64>,
        member: &Member,
        (object, below): (&StorePath, &[u8]),
        contents: &mut dyn Read,
    ) -> Result<(), Stop<BytesError>> {
        let begun = || (0, layer);
        self.present.entry(object.clone()).or_insert_with(begun).0 += 1;
        let path = &member.path;
        if !self.bill.contains_key(object) {
            if self.place == Place::Below {
                // Which digests were replaced there, only the image below could say.
                self.share(ByteOrigin::Base, member);
                return Ok(());
            }
            let problem = "is of a store path that the bill of materials does not have";
            self.report(ByteCode::B102, layer, at, path, problem);
            self.share(ByteOrigin::Unknown, member);
            return Ok(());
        }
        let problem = if let Some(real) = self.known.object(object) {
            let real = if below.is_empty() {
                real.to_path_buf()
            } else {
                real.join(OsStr::from_bytes(below))
            };
            compare(&real, member, contents)?
                .map(|problem| format!("{problem} the one in the store"))
        } else {
            let begun = || (FoundObject::default(), layer);
            let (found, _) = self.objects.entry(object.clone()).or_insert_with(begun);
            found.take(object, below, member, contents)?
        };
        if let Some(problem) = problem {
            self.report(ByteCode::B101, layer, at, path, problem);
        }
        self.share(ByteOrigin::Object(object.clone()), member);
        Ok(())
    }

    /// Whether files may be of packages at the root that the store does not have: only then an image lacks store paths of its bill.
    fn is_untold(&self) -> bool {
        let mut absent = self.bill.keys();
        absent.any(|path| !self.has(path) && self.known.object(path).is_none())
    }

    /// Whether there is something at a store path, here or below.
    fn has(&self, path: &StorePath) -> bool {
        self.present.contains_key(path) || self.there.objects.contains(path)
    }

    /// Judges what could not be judged before all was known; `start` is the place of the first layer.
    fn judge_pending(&mut self, start: usize) {
        let pending = std::mem::take(&mut self.pending);
        let working = clean(self.config.config.working_dir.as_bytes());
        let is_untold = self.is_untold();
        let mut above = BTreeSet::new();
        for path in &self.others {
            let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            above.extend(ends.map(|(end, _)| path[..end].to_vec()));
        }
        for one in pending {
            // Where the program of an image below was started, nothing tells; a directory alone has no bytes.
            let is_known = above.contains(&one.path)
                || one.member.mode == STICKY
                || one.path == working
                || self.place == Place::Below;
            let (origin, problem) = match one.member.flag {
                b'5' if is_known => (ByteOrigin::Rule(Rule::Directories), None),
                b'2' if self.leads_somewhere(&one.path, &one.member.target) => {
                    (ByteOrigin::Rule(Rule::Links), None)
                }
                _ if is_untold => (ByteOrigin::Untold, None),
                flag => {
                    let problem = match flag {
                        b'2' => "is a link to nothing that is in the image",
                        b'5' => "is an empty directory that no rule makes",
                        _ => one.problem,
                    };
                    (ByteOrigin::Unknown, Some(problem))
                }
            };
            let Some(layer) = self.layers.get_mut(one.layer - start) else {
                continue;
            };
            layer.add(origin, &one.member);
            let digest = layer.digest;
            if let Some(problem) = problem {
                self.report(ByteCode::B102, digest, Some(one.offset), &one.path, problem);
            }
        }
    }

    /// Whether a link leads to a store object, or to something else that is there.
    fn leads_somewhere(&self, path: &[u8], target: &[u8]) -> bool {
        let directory = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let whole = if target.starts_with(b"/") {
            clean(target)
        } else {
            clean(&[&path[..directory], b"/", target].concat())
        };
        match in_store(&whole) {
            Some((object, _)) => self.has(&object),
            None => self.others.contains(&whole),
        }
    }

    fn judge_objects(&mut self) {
        for (path, (found, layer)) in std::mem::take(&mut self.objects) {
            let Some(package) = self.bill.get(&path) else {
                continue;
            };
            let known = |path: &StorePath| self.bill.get(path).map(|package| package.id);
            let references: Option<Vec<ObjectId>> = package.references.iter().map(known).collect();
            let problem = match found.id(&path, &references.unwrap_or_default()) {
                Ok(id) if id == package.id && id.path_digest() == *path.digest() => continue,
                Ok(id) => format!(
                    "has contents whose digest is {}, and not that of its name",
                    id.path_digest()
                ),
                Err(error) => format!("is no store object: {error}"),
            };
            let place = path.to_logical();
            self.report(ByteCode::B101, layer, None, place.as_bytes(), problem);
        }
        // What is there was compared one by one, which does not tell what is not there.
        for (path, (found, layer)) in std::mem::take(&mut self.present) {
            if let Some(expected) = self.known.nodes(&path).filter(|nodes| *nodes != found) {
                let problem = format!("has {found} entries, and {expected} in the store");
                let place = path.to_logical();
                self.report(ByteCode::B101, layer, None, place.as_bytes(), problem);
            }
        }
    }

    fn share(&mut self, origin: ByteOrigin, member: &Member) {
        let share = self.shares.entry(origin).or_default();
        share.0 += 1;
        share.1 += member.size_bytes;
    }

    fn report(
        &mut self,
        code: ByteCode,
        layer: Digest,
        offset: Option<u64>,
        path: &[u8],
        problem: impl Into<String>,
    ) {
        self.findings.push(ByteFinding {
            code,
            layer,
            offset,
            path: String::from_utf8_lossy(path).into_owned(),
            problem: problem.into(),
        });
    }
}

impl LayerAccount {
    fn add(&mut self, origin: ByteOrigin, member: &Member) {
        let place = match self
            .shares
            .binary_search_by(|share| share.origin.cmp(&origin))
        {
            Ok(place) => place,
            Err(place) => {
                let share = Share {
                    origin,
                    entries: 0,
                    bytes: 0,
                };
                self.shares.insert(place, share);
                place
            }
        };
        if let Some(share) = self.shares.get_mut(place) {
            share.entries += 1;
            share.bytes += member.size_bytes;
        }
    }
}

/// Takes a path apart that lies at a store path.
fn in_store(path: &[u8]) -> Option<(StorePath, &[u8])> {
    let rest = path.strip_prefix(STORE)?.strip_prefix(b"/")?;
    let end = rest.iter().position(|byte| *byte == b'/');
    let (name, below) = rest.split_at(end.unwrap_or(rest.len()));
    let object = str::from_utf8(name).ok()?.parse().ok()?;
    Some((object, below.strip_prefix(b"/").unwrap_or(below)))
}

fn is_allowed(path: &[u8], allowed: &BTreeSet<Vec<u8>>) -> bool {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let mut above = ends.map(|(end, _)| &path[..end]).chain([path]);
    above.any(|path| allowed.contains(path))
}

/// A path without what does not count in it.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}
