//! Digests of nodes with the object's own digits taken out.

use std::collections::BTreeMap;

use crate::tree::{
    EntryName, KIND_DIRECTORY, KIND_EXECUTABLE, KIND_FILE, KIND_SYMLINK, Node, SymlinkTarget,
    Totals, TreeBundle, TreeError, encode_node,
};

const FILE: &str = "pith 2026-11 file modulo self v1";
const SYMLINK: &str = "pith 2026-11 symlink modulo self v1";
const TREE: &str = "pith 2026-11 tree modulo self v1";

/// Added to a kind for a node that has self-references in it or below it.
const MODULO: u8 = 0x10;

/// The digits of a path digest.
const DIGITS: usize = 40;

/// A node as its object's identity sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuloNode {
    /// Nothing in it or below it refers to the object.
    Plain(Node),
    /// A file that has the object's digits.
    File {
        /// The digest modulo self-references.
        digest: [u8; 32],
        /// The size, which rewriting keeps.
        size: u64,
        /// Whether it is executable.
        executable: bool,
    },
    /// A symlink whose target has the object's digits.
    Symlink {
        /// The digest modulo self-references.
        digest: [u8; 32],
    },
    /// A directory with such a node below it.
    Directory {
        /// The digest of its modulo tree.
        digest: [u8; 32],
        /// Its totals, which rewriting keeps.
        totals: Totals,
    },
}

impl ModuloNode {
    /// Tells whether the object's digits occur in the node or below it.
    #[must_use]
    pub const fn has_self_reference(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Returns the totals of the node and all below it, which rewriting keeps.
    pub fn totals(&self) -> Result<Totals, TreeError> {
        match self {
            Self::Plain(node) => node.totals(),
            Self::File { size, .. } => Ok(Totals {
                size_bytes: *size,
                nodes: 1,
            }),
            Self::Symlink { .. } => Ok(Totals {
                size_bytes: 0,
                nodes: 1,
            }),
            Self::Directory { totals, .. } => {
                let nodes = totals.nodes.checked_add(1).ok_or(TreeError::Overflow)?;
                Ok(Totals {
                    size_bytes: totals.size_bytes,
                    nodes,
                })
            }
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Plain(Node::File {
                executable: false, ..
            }) => KIND_FILE,
            Self::Plain(Node::File {
                executable: true, ..
            }) => KIND_EXECUTABLE,
            Self::Plain(Node::Directory { .. }) => KIND_DIRECTORY,
            Self::Plain(Node::Symlink { .. }) => KIND_SYMLINK,
            Self::File {
                executable: false, ..
            } => KIND_FILE | MODULO,
            Self::File {
                executable: true, ..
            } => KIND_EXECUTABLE | MODULO,
            Self::Directory { .. } => KIND_DIRECTORY | MODULO,
            Self::Symlink { .. } => KIND_SYMLINK | MODULO,
        }
    }

    /// Appends the kind, then what stands between kind and payload, then the payload.
    pub(super) fn encode(&self, name: &[u8], bytes: &mut Vec<u8>) {
        if let Self::Plain(node) = self {
            let start = bytes.len();
            encode_node(node, bytes);
            bytes.splice(start + 1..start + 1, name.iter().copied());
            return;
        }
        bytes.push(self.kind());
        bytes.extend_from_slice(name);
        match self {
            Self::File { digest, size, .. } => {
                bytes.extend_from_slice(&size.to_le_bytes());
                bytes.extend_from_slice(digest);
            }
            Self::Directory { digest, totals } => {
                bytes.extend_from_slice(&totals.size_bytes.to_le_bytes());
                bytes.extend_from_slice(&totals.nodes.to_le_bytes());
                bytes.extend_from_slice(digest);
            }
            Self::Symlink { digest } => bytes.extend_from_slice(digest),
            Self::Plain(_) => {}
        }
    }
}

/// The entries of a directory that has self-references below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuloTree {
    /// The entries; strictly ascending by name, or [`Self::to_node`] fails.
    pub entries: Vec<(EntryName, ModuloNode)>,
}

impl ModuloTree {
    /// Returns the node of the directory. Encodes and hashes the entries.
    pub fn to_node(&self) -> Result<ModuloNode, TreeError> {
        for pair in self.entries.windows(2) {
            if let [(previous, _), (name, _)] = pair
                && previous >= name
            {
                return Err(TreeError::Order {
                    previous: previous.to_string(),
                    name: name.to_string(),
                });
            }
        }
        let mut bytes = Vec::new();
        let count = u32::try_from(self.entries.len())
            .expect("fewer names of a directory than 2^32 fit in memory");
        bytes.extend_from_slice(&count.to_le_bytes());
        for (name, node) in &self.entries {
            let name = name.as_bytes();
            let length = u8::try_from(name.len()).expect("`EntryName` holds at most 255 bytes");
            node.encode(&[&[length], name].concat(), &mut bytes);
        }
        let mut totals = Totals::default();
        for (_, node) in &self.entries {
            totals = totals
                .checked_add(node.totals()?)
                .ok_or(TreeError::Overflow)?;
        }
        Ok(ModuloNode::Directory {
            digest: blake3::derive_key(TREE, &bytes),
            totals,
        })
    }
}

/// Hashes one file modulo self-references, in one pass, given where its occurrences are.
#[derive(Debug)]
pub struct ModuloHasher<'a> {
    zeroed: blake3::Hasher,
    offsets: &'a [u64],
    /// Occurrences before this index end before `position`.
    next: usize,
    position: u64,
}

impl<'a> ModuloHasher<'a> {
    /// Begins a file whose own digits lie at `offsets`: ascending, at least 40 apart.
    #[must_use]
    pub fn new(offsets: &'a [u64]) -> Self {
        Self {
            zeroed: blake3::Hasher::new(),
            offsets,
            next: 0,
            position: 0,
        }
    }

    /// Takes the next bytes of the file, and zeroes in them what it does not hash.
    pub fn update(&mut self, bytes: &mut [u8]) {
        let end = self.position + as_u64(bytes.len());
        while let Some(&offset) = self.offsets.get(self.next) {
            if offset >= end {
                break;
            }
            let from = as_usize(offset.saturating_sub(self.position));
            let until = as_usize(offset + as_u64(DIGITS) - self.position).min(bytes.len());
            bytes[from..until].fill(0);
            if offset + as_u64(DIGITS) > end {
                break;
            }
            self.next += 1;
        }
        self.zeroed.update(bytes);
        self.position = end;
    }

    /// Returns the node of the file.
    #[must_use]
    pub fn finish(self, executable: bool) -> ModuloNode {
        let zeroed = self.zeroed.finalize();
        file_modulo(&zeroed, self.position, self.offsets, executable)
    }
}

/// Returns the node of a file of which the digest with its own digits zeroed is known.
pub(super) fn file_modulo(
    zeroed: &blake3::Hash,
    size: u64,
    offsets: &[u64],
    executable: bool,
) -> ModuloNode {
    let mut hasher = blake3::Hasher::new_derive_key(FILE);
    hasher.update(&size.to_le_bytes());
    hasher.update(zeroed.as_bytes());
    update_offsets(&mut hasher, offsets);
    ModuloNode::File {
        digest: *hasher.finalize().as_bytes(),
        size,
        executable,
    }
}

/// Returns the node of a symlink whose target has the digits `digest` at `offsets`; plain if there are none.
#[must_use]
pub fn symlink_modulo(target: &SymlinkTarget, offsets: &[u64]) -> ModuloNode {
    if offsets.is_empty() {
        return ModuloNode::Plain(Node::Symlink {
            target: target.clone(),
        });
    }
    let mut zeroed = target.as_bytes().to_vec();
    for offset in offsets {
        let from = as_usize(*offset);
        if let Some(digits) = zeroed.get_mut(from..from + DIGITS) {
            digits.fill(0);
        }
    }
    let mut hasher = blake3::Hasher::new_derive_key(SYMLINK);
    hasher.update(
        &u16::try_from(zeroed.len())
            .expect("`SymlinkTarget` holds at most 4095 bytes")
            .to_le_bytes(),
    );
    hasher.update(&zeroed);
    update_offsets(&mut hasher, offsets);
    ModuloNode::Symlink {
        digest: *hasher.finalize().as_bytes(),
    }
}

/// Returns the root of an object with its own digits taken out, given the files and symlinks that have them, by their paths.
pub fn root_modulo(
    root: &Node,
    bundle: &TreeBundle,
    leaves: &BTreeMap<Vec<u8>, ModuloNode>,
) -> Result<ModuloNode, TreeError> {
    if let Some(root) = leaves.get(b"".as_slice()) {
        return Ok(root.clone());
    }
    directory_modulo(root, &[], bundle, leaves)
}

/// The depth of a bundle is bounded, and so is the recursion.
fn directory_modulo(
    node: &Node,
    path: &[u8],
    bundle: &TreeBundle,
    leaves: &BTreeMap<Vec<u8>, ModuloNode>,
) -> Result<ModuloNode, TreeError> {
    let below = if path.is_empty() {
        Vec::new()
    } else {
        [path, b"/"].concat()
    };
    let touched = leaves
        .range(below.clone()..)
        .next()
        .is_some_and(|(leaf, _)| leaf.starts_with(&below));
    let Some(tree) = bundle.trees.get(path).filter(|_| touched) else {
        return Ok(ModuloNode::Plain(node.clone()));
    };
    let entries = tree.entries().iter().map(|entry| {
        let path = [&below, entry.name.as_bytes()].concat();
        let node = match (leaves.get(&path), &entry.node) {
            (Some(leaf), _) => leaf.clone(),
            (None, Node::Directory { .. }) => directory_modulo(&entry.node, &path, bundle, leaves)?,
            (None, node) => ModuloNode::Plain(node.clone()),
        };
        Ok((entry.name.clone(), node))
    });
    let entries = entries.collect::<Result<_, TreeError>>()?;
    ModuloTree { entries }.to_node()
}

fn update_offsets(hasher: &mut blake3::Hasher, offsets: &[u64]) {
    hasher.update(&as_u64(offsets.len()).to_le_bytes());
    for offset in offsets {
        hasher.update(&offset.to_le_bytes());
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).expect("a length in memory fits 64 bits")
}

fn as_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("the offset lies in a slice")
}
