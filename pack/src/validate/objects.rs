//! Store objects in an image: whether what lies at a store path is what the path is the digest of.

use std::{collections::BTreeMap, io::Read};

use store::{
    EntryName, ObjectId, StorePath, SymlinkTarget, Tree, TreeEntry, TreeError,
    object::{ModuloNode, ModuloTree, ObjectSeal, StreamHasher, seal, symlink_modulo},
    scan::{Needles, scan_bytes},
    tree::MAX_DEPTH,
};

use crate::layer::Member;

/// How much of a file is in memory.
const BUFFER_BYTES: usize = 64 << 10;

/// What was found at one store path.
#[derive(Debug, Default)]
pub(crate) struct FoundObject {
    root: Option<Found>,
}

#[derive(Debug)]
enum Found {
    Leaf(ModuloNode),
    Directory(BTreeMap<EntryName, Self>),
}

impl FoundObject {
    /// Takes one entry of a layer; `below` is its place in the object, and `contents` what is in it. Returns what is wrong with it.
    pub(crate) fn take(
        &mut self,
        path: &StorePath,
        below: &[u8],
        member: &Member,
        contents: &mut dyn Read,
    ) -> std::io::Result<Option<String>> {
        let executable = member.mode & 0o111 != 0;
        let (found, mode) = match member.flag {
            b'5' => (Found::Directory(BTreeMap::new()), 0o555),
            b'2' => match link(path, &member.target) {
                Ok(node) => (Found::Leaf(node), 0o777),
                Err(error) => return Ok(Some(format!("is no link of a store object: {error}"))),
            },
            b'0' => {
                let mut hasher = StreamHasher::new(path.digest());
                let mut buffer = vec![0; BUFFER_BYTES];
                loop {
                    let count = contents.read(&mut buffer)?;
                    if count == 0 {
                        break;
                    }
                    hasher.update(&buffer[..count]);
                }
                let mode = if executable { 0o555 } else { 0o444 };
                (Found::Leaf(hasher.finish(executable)), mode)
            }
            // What no layer may have is reported already.
            _ => return Ok(None),
        };
        if let Err(problem) = self.insert(below, found) {
            return Ok(Some(problem));
        }
        Ok(
            (member.mode != mode)
                .then(|| format!("has mode {:o} instead of {mode:o}", member.mode)),
        )
    }

    fn insert(&mut self, below: &[u8], found: Found) -> Result<(), String> {
        let twice = || "is in the image twice".to_owned();
        if below.is_empty() {
            if self.root.is_some() {
                return Err(twice());
            }
            self.root = Some(found);
            return Ok(());
        }
        let names: Result<Vec<EntryName>, TreeError> = below
            .split(|byte| *byte == b'/')
            .map(EntryName::new)
            .collect();
        let mut names = names.map_err(|error| format!("is in no store object: {error}"))?;
        if names.len() > MAX_DEPTH {
            return Err("lies deeper than anything in a store object".to_owned());
        }
        let Some(last) = names.pop() else {
            return Err(twice());
        };
        let directory = || Found::Directory(BTreeMap::new());
        let mut current = self.root.get_or_insert_with(directory);
        for name in names {
            let Found::Directory(entries) = current else {
                return Err("lies below something that is no directory".to_owned());
            };
            current = entries.entry(name).or_insert_with(directory);
        }
        let Found::Directory(entries) = current else {
            return Err("lies below something that is no directory".to_owned());
        };
        match entries.insert(last, found) {
            None => Ok(()),
            Some(_) => Err(twice()),
        }
    }

    /// Returns the digest of the object, which refers to objects with the given digests.
    pub(crate) fn id(
        &self,
        path: &StorePath,
        references: &[ObjectId],
    ) -> Result<ObjectId, TreeError> {
        let root = match &self.root {
            Some(root) => root.node()?,
            None => ModuloNode::Plain(Tree::default().to_node()),
        };
        Ok(seal(&ObjectSeal {
            name: path.name(),
            root: &root,
            references,
        }))
    }
}

impl Found {
    /// The depth was bounded when entries came, and so is the recursion.
    fn node(&self) -> Result<ModuloNode, TreeError> {
        let entries = match self {
            Self::Leaf(node) => return Ok(node.clone()),
            Self::Directory(entries) => entries,
        };
        let mut plain = Vec::with_capacity(entries.len());
        let mut all = Vec::with_capacity(entries.len());
        for (name, found) in entries {
            let node = found.node()?;
            if let ModuloNode::Plain(node) = &node {
                plain.push(TreeEntry {
                    name: name.clone(),
                    node: node.clone(),
                });
            }
            all.push((name.clone(), node));
        }
        if plain.len() == all.len() {
            return Ok(ModuloNode::Plain(Tree::from_sorted(plain)?.to_node()));
        }
        ModuloTree { entries: all }.to_node()
    }
}

fn link(path: &StorePath, target: &[u8]) -> Result<ModuloNode, TreeError> {
    let target = SymlinkTarget::new(target)?;
    let own = Needles::new(&[], &[*path.digest()]);
    let found = scan_bytes(&own, target.as_bytes()).occurrences;
    let offsets: Vec<u64> = found.iter().map(|one| one.offset).collect();
    Ok(symlink_modulo(&target, &offsets))
}
