//! Inodes and directories.

use std::collections::BTreeMap;

use super::{
    block::Packer,
    metadata::{Place, Table},
    superblock::MTIME,
};
use crate::{layer::LayerError, sink::directory::Wanted};

/// How many entries one header of a directory may have.
const RUN: usize = 256;
/// What stands for a fragment or for attributes that are not there.
const NONE: u32 = u32::MAX;
/// Directories with longer listings have another kind of inode.
const SHORT_LISTING: usize = 0xfffc;

/// The kinds of inodes; a directory's entries have the short kinds for the long ones, too.
const DIRECTORY: u16 = 1;
const FILE: u16 = 2;
const SYMLINK: u16 = 3;
const LONG_DIRECTORY: u16 = 8;
const LONG_FILE: u16 = 9;

/// Where the bytes of a file are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) size_bytes: u64,
    /// Where its own blocks begin.
    pub(super) start: u64,
    /// The sizes of its own blocks.
    pub(super) blocks: Vec<u32>,
    /// The shared block that it is in and where, if it is shorter than a block.
    pub(super) fragment: Option<(u32, u32)>,
}

/// One entry of the tree.
struct Node<'a> {
    name: &'a [u8],
    wanted: &'a Wanted<'a>,
    parent: usize,
    /// Ascending by name.
    children: Vec<usize>,
}

/// The two tables of the tree.
pub(super) struct Tables {
    pub(super) inodes: Table,
    pub(super) directories: Table,
    /// Where the root's inode is.
    pub(super) root: Place,
    /// How many inodes there are.
    pub(super) count: u32,
}

/// Makes the tables of a tree, the root being the entry with the empty path. `contents` are those of its files, by path.
///
/// Returns `None` where the tree is larger than the format can say.
pub(super) fn tables(
    tree: &BTreeMap<Vec<u8>, Wanted<'_>>,
    contents: &BTreeMap<&[u8], Contents>,
    packer: &mut Packer,
) -> Result<Option<Tables>, LayerError> {
    let nodes = nodes(tree);
    let mut writer = Writer {
        inodes: Table::default(),
        directories: Table::default(),
        places: vec![Place::default(); nodes.len()],
        nodes: &nodes,
        packer,
    };
    // Children have higher numbers than their parents, who need to know where they are.
    for (index, path) in tree.keys().enumerate().rev() {
        let own = contents.get(path.as_slice());
        if writer.push(index, own)?.is_none() {
            return Ok(None);
        }
    }
    let Ok(count) = u32::try_from(nodes.len()) else {
        return Ok(None);
    };
    Ok(Some(Tables {
        root: writer.places.first().copied().unwrap_or_default(),
        inodes: writer.inodes,
        directories: writer.directories,
        count,
    }))
}

fn nodes<'a>(tree: &'a BTreeMap<Vec<u8>, Wanted<'a>>) -> Vec<Node<'a>> {
    let indices: BTreeMap<&[u8], usize> = tree.keys().map(Vec::as_slice).zip(0..).collect();
    let mut nodes: Vec<Node<'_>> = Vec::with_capacity(tree.len());
    for (index, (path, wanted)) in tree.iter().enumerate() {
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let name = slash.map_or(path.as_slice(), |at| &path[at + 1..]);
        let parent = slash.map_or(&b""[..], |at| &path[..at]);
        let parent = indices.get(parent).copied().unwrap_or_default();
        nodes.push(Node {
            name,
            wanted,
            parent,
            children: Vec::new(),
        });
        if index > 0 {
            nodes[parent].children.push(index);
        }
    }
    // In the order of whole paths, `a-` comes before `a/`, and so before what is in `a`; in a directory only names count.
    for index in 0..nodes.len() {
        let mut children = std::mem::take(&mut nodes[index].children);
        children.sort_unstable_by_key(|&child| nodes[child].name);
        nodes[index].children = children;
    }
    nodes
}

struct Writer<'a> {
    inodes: Table,
    directories: Table,
    /// Of the inodes that are written.
    places: Vec<Place>,
    nodes: &'a [Node<'a>],
    packer: &'a mut Packer,
}

impl Writer<'_> {
    fn push(
        &mut self,
        index: usize,
        contents: Option<&Contents>,
    ) -> Result<Option<()>, LayerError> {
        let record = match self.nodes[index].wanted {
            Wanted::Directory { mode } => self.directory(index, *mode)?,
            Wanted::Symlink { target } => symlink(index, target),
            Wanted::Generated { mode, .. } | Wanted::Stored { mode, .. } => {
                contents.and_then(|contents| file(index, *mode, contents))
            }
        };
        let (Some(record), Some(place)) = (record, self.inodes.place()) else {
            return Ok(None);
        };
        self.places[index] = place;
        self.inodes.push(&record, self.packer)?;
        Ok(Some(()))
    }

    fn directory(&mut self, index: usize, mode: u32) -> Result<Option<Vec<u8>>, LayerError> {
        let (Some(place), Some(listing)) = (self.directories.place(), self.listing(index)) else {
            return Ok(None);
        };
        self.directories.push(&listing, self.packer)?;
        Ok(self.directory_inode(index, mode, place, listing.len()))
    }

    fn directory_inode(
        &self,
        index: usize,
        mode: u32,
        place: Place,
        listing: usize,
    ) -> Option<Vec<u8>> {
        let node = &self.nodes[index];
        let below = node.children.iter();
        let directories = below
            .filter(|&&child| matches!(self.nodes[child].wanted, Wanted::Directory { .. }))
            .count();
        let links = u32::try_from(directories + 2).ok()?;
        // The root's parent is nowhere: the number after the last one.
        let parent = if index == 0 {
            number(self.nodes.len())?
        } else {
            number(node.parent)?
        };
        // Three bytes more than there are: `.` and `..`.
        let size = u32::try_from(listing + 3).ok()?;
        let mut record;
        if listing <= SHORT_LISTING {
            record = head(DIRECTORY, mode, index)?;
            record.extend_from_slice(&place.block.to_le_bytes());
            record.extend_from_slice(&links.to_le_bytes());
            record.extend_from_slice(&u16::try_from(size).ok()?.to_le_bytes());
            record.extend_from_slice(&place.offset.to_le_bytes());
            record.extend_from_slice(&parent.to_le_bytes());
        } else {
            record = head(LONG_DIRECTORY, mode, index)?;
            for field in [links, size, place.block, parent] {
                record.extend_from_slice(&field.to_le_bytes());
            }
            // No index: readers then go through the listing.
            record.extend_from_slice(&0_u16.to_le_bytes());
            record.extend_from_slice(&place.offset.to_le_bytes());
            record.extend_from_slice(&NONE.to_le_bytes());
        }
        Some(record)
    }

    /// The entries of a directory in runs, each with a header that says in which block of inodes they are, and near which number.
    fn listing(&self, index: usize) -> Option<Vec<u8>> {
        let mut listing = Vec::new();
        let mut rest = self.nodes[index].children.as_slice();
        while let Some(&first) = rest.first() {
            let base = number(first)?;
            let block = self.places[first].block;
            let is_near = |child: &usize| {
                let distance = number(*child).map(|own| i64::from(own) - i64::from(base));
                let is_near = distance.is_some_and(|distance| i16::try_from(distance).is_ok());
                is_near && self.places[*child].block == block
            };
            let length = rest
                .iter()
                .take(RUN)
                .take_while(|child| is_near(child))
                .count();
            let (run, after) = rest.split_at(length);
            rest = after;
            for field in [u32::try_from(length - 1).ok()?, block, base] {
                listing.extend_from_slice(&field.to_le_bytes());
            }
            for &child in run {
                let node = &self.nodes[child];
                let distance = i64::from(number(child)?) - i64::from(base);
                let kind = match node.wanted {
                    Wanted::Directory { .. } => DIRECTORY,
                    Wanted::Symlink { .. } => SYMLINK,
                    Wanted::Generated { .. } | Wanted::Stored { .. } => FILE,
                };
                let length = u16::try_from(node.name.len().checked_sub(1)?).ok()?;
                listing.extend_from_slice(&self.places[child].offset.to_le_bytes());
                listing.extend_from_slice(&i16::try_from(distance).ok()?.to_le_bytes());
                listing.extend_from_slice(&kind.to_le_bytes());
                listing.extend_from_slice(&length.to_le_bytes());
                listing.extend_from_slice(node.name);
            }
        }
        Some(listing)
    }
}

/// The number of an inode: they begin with 1.
fn number(index: usize) -> Option<u32> {
    u32::try_from(index + 1).ok()
}

/// What every inode begins with. The owner is the only one of the table of owners, root.
fn head(kind: u16, mode: u32, index: usize) -> Option<Vec<u8>> {
    let mut record = Vec::new();
    let mode = u16::try_from(mode & 0o7777).ok()?;
    for field in [kind, mode, 0, 0] {
        record.extend_from_slice(&field.to_le_bytes());
    }
    record.extend_from_slice(&MTIME.to_le_bytes());
    record.extend_from_slice(&number(index)?.to_le_bytes());
    Some(record)
}

fn symlink(index: usize, target: &[u8]) -> Option<Vec<u8>> {
    let mut record = head(SYMLINK, 0o777, index)?;
    let links = 1_u32;
    record.extend_from_slice(&links.to_le_bytes());
    record.extend_from_slice(&u32::try_from(target.len()).ok()?.to_le_bytes());
    record.extend_from_slice(target);
    Some(record)
}

fn file(index: usize, mode: u32, contents: &Contents) -> Option<Vec<u8>> {
    let (fragment, offset) = contents.fragment.unwrap_or((NONE, 0));
    let short = u32::try_from(contents.start)
        .ok()
        .zip(u32::try_from(contents.size_bytes).ok());
    let mut record;
    if let Some((start, size)) = short {
        record = head(FILE, mode, index)?;
        for field in [start, fragment, offset, size] {
            record.extend_from_slice(&field.to_le_bytes());
        }
    } else {
        record = head(LONG_FILE, mode, index)?;
        let saved_by_holes = 0_u64;
        for field in [contents.start, contents.size_bytes, saved_by_holes] {
            record.extend_from_slice(&field.to_le_bytes());
        }
        let links = 1_u32;
        for field in [links, fragment, offset, NONE] {
            record.extend_from_slice(&field.to_le_bytes());
        }
    }
    for size in &contents.blocks {
        record.extend_from_slice(&size.to_le_bytes());
    }
    Some(record)
}
