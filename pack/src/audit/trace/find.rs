//! Where a file lies in an image.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
};

use store::StorePath;

use super::{Located, TraceError};
use crate::{
    audit::bytes::{BytesError, Seen, read_layer},
    existing::{AnyManifest, AnyPlatform, ExistingError, ExistingImage, blob_name},
    layer::{Compression, Dialect, Originals},
    oci::{Digest, DigestWriter, annotation},
};

/// Deletes a file of a lower layer. OCI image-spec 1.1, layer.md, "Whiteouts".
const WHITEOUT: &[u8] = b".wh.";
/// Deletes everything that lower layers have in a directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// So many links may be followed, as in Linux.
const MAX_LINKS: usize = 40;
/// So much of what lies in a directory is told.
const MAX_NAMES: usize = 4;
/// How much of a file is in memory.
const BUFFER_BYTES: usize = 64 << 10;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A path; links are followed.
    Path(Vec<u8>),
    /// Every file with this content, by SHA-256.
    Contents(Digest),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(&shown(path)),
            Self::Contents(digest) => write!(f, "{digest}"),
        }
    }
}

/// One entry of an image, its layers put together.
struct Node {
    layer: usize,
    offset: u64,
    contents_offset: u64,
    size_bytes: u64,
    kind: Kind,
}

enum Kind {
    Directory,
    Link(Vec<u8>),
    File(Digest),
    Other,
}

type Nodes = BTreeMap<Vec<u8>, Node>;

/// Finds files of an image, for each of its platforms: the one at a path, or all that have some content. Reads all of its layers.
pub fn find(image: &ExistingImage<'_>, wanted: &Wanted) -> Result<Vec<Located>, TraceError> {
    let documents = image.documents(None).map_err(BytesError::from)?;
    let mut found = Vec::new();
    for one in &documents.manifests {
        let is_attestation = (one.entry.platform.as_ref()).is_some_and(AnyPlatform::is_unknown);
        if !one.manifest.is_image() || is_attestation {
            continue;
        }
        let config = image.read_config(&one.manifest).map_err(BytesError::from)?;
        let slots = one.manifest.annotations.get(annotation::SLOTS);
        let platform = config.platform.to_string();
        let place = Place {
            image,
            manifest: &one.manifest,
            digest: one.entry.digest,
            platform: &platform,
            originals: slots.and_then(|slots| Originals::parse(slots)),
        };
        let nodes = place.read()?;
        match wanted {
            Wanted::Path(path) => found.push(place.resolve(&nodes, path)?),
            Wanted::Contents(digest) => {
                let has = |node: &Node| matches!(&node.kind, Kind::File(found) if found == digest);
                let files = nodes.iter().filter(|(_, node)| has(node));
                found.extend(files.filter_map(|(path, node)| place.locate(path, node, Vec::new())));
            }
        }
    }
    if found.is_empty() {
        return Err(TraceError::NotThere {
            wanted: wanted.to_string(),
            image: image.name().to_owned(),
        });
    }
    Ok(found)
}

/// An image for one platform.
struct Place<'a> {
    image: &'a ExistingImage<'a>,
    manifest: &'a AnyManifest,
    digest: Digest,
    platform: &'a str,
    originals: Option<Originals>,
}

impl Place<'_> {
    fn read(&self) -> Result<Nodes, TraceError> {
        let image = self.image;
        let mut nodes = Nodes::new();
        for (number, layer) in self.manifest.layers.iter().enumerate() {
            let name = blob_name(&layer.digest);
            let Some(compression) = Compression::from_media_type(&layer.media_type) else {
                return Err(BytesError::from(ExistingError::LayerType {
                    image: image.name().to_owned(),
                    media_type: layer.media_type.clone(),
                })
                .into());
            };
            let blob = image.source.blob(layer).map_err(BytesError::from)?;
            let blob = blob.ok_or_else(|| BytesError::from(image.missing(&name)))?;
            let mut visit = |seen: &Seen<'_>, contents: &mut dyn Read| {
                let kind = match seen.member.flag {
                    b'0' | b'7' => Kind::File(hash(contents)?),
                    b'2' => Kind::Link(seen.member.target.clone()),
                    b'5' => Kind::Directory,
                    _ => Kind::Other,
                };
                let node = Node {
                    layer: number,
                    offset: seen.offset,
                    contents_offset: seen.member.offset,
                    size_bytes: seen.member.size_bytes,
                    kind,
                };
                put(&mut nodes, &clean(seen.path()), node);
                Ok(())
            };
            let sums = read_layer::<TraceError>(blob, compression, Dialect::Any, &mut visit)?;
            let sums = sums.map_err(|error| BytesError::from(image.source.error(&name, error)))?;
            if let Some(found) = sums.digest {
                let checked = image.check(layer, found, sums.size_bytes);
                checked.map_err(BytesError::from)?;
            }
            if let Some((_, problem)) = sums.problems.into_iter().next() {
                return Err(TraceError::Layer {
                    layer: layer.digest,
                    problem,
                });
            }
        }
        Ok(nodes)
    }

    /// Follows links from a path to a file, one part after the other.
    fn resolve(&self, nodes: &Nodes, path: &[u8]) -> Result<Located, TraceError> {
        let image = || self.image.name().to_owned();
        let mut links = Vec::new();
        let mut waiting: Vec<Vec<u8>> = parts(path);
        waiting.reverse();
        let mut done: Vec<Vec<u8>> = Vec::new();
        while let Some(part) = waiting.pop() {
            if part == b".." {
                done.pop();
                continue;
            }
            done.push(part);
            let here = done.join(&b'/');
            let Some(node) = nodes.get(&here) else {
                return Err(if links.is_empty() {
                    TraceError::NotThere {
                        wanted: shown(path),
                        image: image(),
                    }
                } else {
                    TraceError::Dangling {
                        path: shown(path),
                        image: image(),
                    }
                });
            };
            if let Kind::Link(target) = &node.kind {
                links.push(shown(&here));
                if links.len() > MAX_LINKS {
                    break;
                }
                done.pop();
                if target.starts_with(b"/") {
                    done.clear();
                }
                waiting.extend(parts(target).into_iter().rev());
            }
        }
        let here = done.join(&b'/');
        let dangling = || TraceError::Dangling {
            path: shown(path),
            image: image(),
        };
        if !waiting.is_empty() {
            return Err(dangling());
        }
        // The root need not be an entry.
        let node = nodes.get(&here);
        if here.is_empty() || node.is_some_and(|node| matches!(node.kind, Kind::Directory)) {
            return Err(TraceError::Directory {
                path: shown(&here),
                image: image(),
                has: names_in(nodes, &here),
            });
        }
        let found = node.and_then(|node| self.locate(&here, node, links));
        found.ok_or_else(dangling)
    }

    fn locate(&self, path: &[u8], node: &Node, links: Vec<String>) -> Option<Located> {
        let Kind::File(sha256) = &node.kind else {
            return None;
        };
        let mut original = path.to_vec();
        if let Some(originals) = &self.originals {
            originals.restore(&mut original);
        }
        let (object, file) = in_store(&original).unzip();
        Some(Located {
            manifest: self.digest,
            platform: self.platform.to_owned(),
            layer: self.manifest.layers.get(node.layer)?.digest,
            layer_number: node.layer + 1,
            offset: node.offset,
            contents_offset: node.contents_offset,
            size_bytes: node.size_bytes,
            sha256: sha256.to_hex(),
            path: shown(path),
            links,
            object,
            file,
        })
    }
}

/// Puts an entry over what lower layers have, or deletes that.
fn put(nodes: &mut Nodes, path: &[u8], node: Node) {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let (directory, name) = match slash {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&path[..0], path),
    };
    let join = |name: &[u8]| {
        if directory.is_empty() {
            name.to_vec()
        } else {
            [directory, b"/", name].concat()
        }
    };
    if name == OPAQUE {
        remove_below(nodes, directory);
    } else if let Some(deleted) = name.strip_prefix(WHITEOUT) {
        let deleted = join(deleted);
        nodes.remove(&deleted);
        remove_below(nodes, &deleted);
    } else {
        if !matches!(node.kind, Kind::Directory) {
            remove_below(nodes, path);
        }
        nodes.insert(path.to_vec(), node);
    }
}

/// Returns what lies in a directory, ascending; no more than a reader wants to see.
fn names_in(nodes: &Nodes, directory: &[u8]) -> Vec<String> {
    let start = match directory {
        b"" => Vec::new(),
        directory => [directory, b"/"].concat(),
    };
    let below = nodes.range(start.clone()..).map(|(path, _)| path);
    let below = below.take_while(|path| path.starts_with(&start));
    let names =
        below.filter(|path| path.len() > start.len() && !path[start.len()..].contains(&b'/'));
    names.take(MAX_NAMES).map(|path| shown(path)).collect()
}

fn remove_below(nodes: &mut Nodes, directory: &[u8]) {
    let start = if directory.is_empty() {
        Vec::new()
    } else {
        [directory, b"/"].concat()
    };
    let below = nodes.range(start.clone()..);
    let below: Vec<Vec<u8>> = below
        .take_while(|(path, _)| path.starts_with(&start))
        .map(|(path, _)| path.clone())
        .collect();
    for path in below {
        nodes.remove(&path);
    }
}

/// Takes a path apart that lies at a store path.
fn in_store(path: &[u8]) -> Option<(StorePath, String)> {
    let rest = path.strip_prefix(b"pith/store/")?;
    let end = rest.iter().position(|byte| *byte == b'/');
    let (name, below) = rest.split_at(end.unwrap_or(rest.len()));
    let object = str::from_utf8(name).ok()?.parse().ok()?;
    let below = below.strip_prefix(b"/").unwrap_or(below);
    Some((object, String::from_utf8_lossy(below).into_owned()))
}

pub(super) fn hash(contents: &mut dyn Read) -> io::Result<Digest> {
    let mut hasher = DigestWriter::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = contents.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..count]);
    }
}

fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/');
    let counts = |part: &&[u8]| !part.is_empty() && *part != b".";
    parts.filter(counts).map(<[u8]>::to_vec).collect()
}

/// A path without what does not count in it.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    parts(path).join(&b'/')
}

fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(&clean(path)))
}
